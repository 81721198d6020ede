package engine

import "crypto/rand"

const (
	idAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	tagLength  = 4
	idLength   = 20
)

// newID draws a session id: the node's tag, then 96 random bits.
func newID(tag string) string { return tag + randomText(idLength-len(tag)) }

// randomText returns n URL-safe characters of six random bits each.
func randomText(n int) string {
	text := make([]byte, n)
	rand.Read(text) // never fails
	for i, b := range text {
		text[i] = idAlphabet[b&63]
	}
	return string(text)
}
