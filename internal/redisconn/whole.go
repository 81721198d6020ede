package redisconn

import "bytes"

// wholeMessage reads a message that b begins with, as Redis writes it; n is its length. Its parts are parts of b. ok is
// false for anything else, and for a message of which b holds only the beginning: Push reads those step by step, at four
// times the cost.
func wholeMessage(b []byte, maxPayload int) (p Push, n int, ok bool) {
	switch {
	case bytes.HasPrefix(b, []byte("*3\r\n$7\r\nmessage\r\n")):
		p.Kind, n = Message, len("*3\r\n$7\r\nmessage\r\n")
	case bytes.HasPrefix(b, []byte("*4\r\n$8\r\npmessage\r\n")):
		n = len("*4\r\n$8\r\npmessage\r\n")
		p.Kind = PatternMessage
		if p.Pattern, n, ok = wholeBulk(b, n, maxName); !ok {
			return Push{}, 0, false
		}
	case bytes.HasPrefix(b, []byte("*3\r\n$8\r\nsmessage\r\n")):
		p.Kind, n = ShardMessage, len("*3\r\n$8\r\nsmessage\r\n")
	default:
		return Push{}, 0, false
	}
	if p.Channel, n, ok = wholeBulk(b, n, maxName); !ok {
		return Push{}, 0, false
	}
	if maxPayload == 0 {
		maxPayload = maxBulk
	}
	if p.Payload, n, ok = wholeBulk(b, n, maxPayload); !ok {
		return Push{}, 0, false
	}
	p.Size = len(p.Payload)
	return p, n, true
}

// wholeBulk reads a bulk string of at most so many bytes at b[at:]; next is what follows it.
func wholeBulk(b []byte, at, most int) (body []byte, next int, ok bool) {
	if at >= len(b) || b[at] != '$' {
		return nil, 0, false
	}
	at++
	n, first := 0, at
	for ; at < len(b) && b[at]-'0' <= 9; at++ {
		if n = 10*n + int(b[at]-'0'); n > most {
			return nil, 0, false
		}
	}
	end := at + len("\r\n") + n
	if at == first || end+len("\r\n") > len(b) || b[at] != '\r' || b[at+1] != '\n' || b[end] != '\r' || b[end+1] != '\n' {
		return nil, 0, false
	}
	return b[at+2 : end : end], end + len("\r\n"), true
}
