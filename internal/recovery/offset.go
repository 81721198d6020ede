package recovery

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// An offset is a mark and 22 characters of base64url: the log's id, a place in it, and the beginning of a MAC. The mark
// tells it from texts of applications that are as long, such as a short UUID.
const (
	offsetMark = '@'
	offsetSize = logIDSize + placeSize + macSize
	offsetText = 1 + (offsetSize*8+5)/6
	logIDSize  = 4
	placeSize  = 6
	macSize    = 6
)

type logID [logIDSize]byte

// Key signs offsets.
type Key [sha256.Size]byte

// offset is the text of a place.
func (k *Key) offset(log logID, place uint64) string {
	raw := k.sign(log, place)
	var text [offsetText]byte
	text[0] = offsetMark
	base64.RawURLEncoding.Encode(text[1:], raw[:])
	return string(text[:])
}

// sign returns the bytes of an offset. What is hashed has a fixed length and most of the sum is left out, so a key in front
// serves as well as an HMAC, at a third of its cost.
func (k *Key) sign(log logID, place uint64) (raw [offsetSize]byte) {
	var signed [len(k) + logIDSize + 8]byte
	copy(signed[:], k[:])
	copy(signed[len(k):], log[:])
	binary.BigEndian.PutUint64(signed[len(k)+logIDSize:], place)
	copy(raw[:], signed[len(k):len(k)+logIDSize])
	copy(raw[logIDSize:], signed[len(signed)-placeSize:])
	sum := sha256.Sum256(signed[:])
	copy(raw[logIDSize+placeSize:], sum[:])
	return raw
}

// origin says where an offset comes from.
type origin uint8

const (
	fromNowhere   origin = iota // there is none: the client has received no event
	fromHere                    // this log
	fromElsewhere               // another log, as of an earlier session on another node or before a restart
	fromStranger                // not an offset: the last argument of an event without a number
)

// named is what a client names as the last offset it received.
type named struct {
	origin origin
	log    logID  // whose place it is, in a form that nodes of one cluster sign; zero: it is not known
	place  uint64 // in that log
}

// parse reads what a client names as the last offset it received. own is the log of this node.
func (k *Key) parse(own logID, text string) named {
	if text == "" {
		return named{origin: fromNowhere}
	}
	var raw [offsetSize]byte
	if len(text) != offsetText || text[0] != offsetMark {
		return named{origin: fromStranger}
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(raw[:], []byte(text[1:])); err != nil {
		return named{origin: fromStranger}
	}
	var wide [8]byte
	copy(wide[8-placeSize:], raw[logIDSize:])
	n := named{origin: fromElsewhere, log: logID(raw[:logIDSize]), place: binary.BigEndian.Uint64(wide[:])}
	signed := k.sign(n.log, n.place) == raw
	switch {
	case n.log == own && signed:
		n.origin = fromHere
	case n.log == own:
		return named{origin: fromStranger}
	case !signed:
		n.log, n.place = logID{}, 0 // of a process with another key
	}
	return n
}
