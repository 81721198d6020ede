package redisconn

import "strconv"

// AppendCommand appends the header of a command of n words, the first of which is verb; the others follow with AppendWord.
func AppendCommand(b []byte, verb string, n int) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, '\r', '\n')
	return AppendWord(b, verb)
}

// AppendWord appends one word of a command.
func AppendWord[T ~string | ~[]byte](b []byte, word T) []byte {
	b = append(b, '$')
	b = strconv.AppendInt(b, int64(len(word)), 10)
	b = append(b, '\r', '\n')
	b = append(b, word...)
	return append(b, '\r', '\n')
}
