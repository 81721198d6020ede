package conn

import (
	"crypto/rand"
	"encoding/base64"
)

// A socket's id is the node's tag and as many random characters as make twenty: Node's adapters tell a socket's own
// room from others by that length, and the tag tells which node the socket is on.
const (
	tagBytes    = 3  // four characters
	randomBytes = 12 // sixteen characters, 96 bits: an id cannot be guessed
)

// NewTag returns what the ids of a node's sockets begin with.
func NewTag() string { return randomID(tagBytes) }

// randomID returns n random bytes as URL-safe text. n is a multiple of three.
func randomID(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: the runtime ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// NewPID returns a secret for a session of the node of that tag.
func NewPID(tag string) string { return tag + randomID(randomBytes) }
