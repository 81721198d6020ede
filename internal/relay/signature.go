package relay

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Headers of a relayed request. Each is set by the relaying node and deleted from what clients send.
const (
	headerSignature = "Carillon-Relay"        // "v1 <Unix ms> <nonce> <hex HMAC>"
	headerClient    = "Carillon-Relay-Client" // the client's address, as the relaying node determined it
	headerScheme    = "Carillon-Relay-Scheme" // http or https
	headerBody      = "Carillon-Relay-Body"   // hex SHA-256 of the body; absent without one
)

const (
	signatureVersion = "v1"
	signatureAge     = 30 * time.Second // how far the clocks of two nodes may be apart, transit included
	nonceBytes       = 16
	maxNonces        = 1 << 20 // remembered at most, each about 40 bytes: 17,000 relayed requests a second
)

var (
	errUnsigned = errors.New("relay: request is not signed")
	errForged   = errors.New("relay: signature does not match")
	errStale    = errors.New("relay: signature is too old, or from the future")
	errReplayed = errors.New("relay: signature was used before")
	errFull     = errors.New("relay: too many signatures to remember")
)

// sign adds the signature. The other headers it covers are set already.
func sign(r *http.Request, secret []byte, now time.Time) {
	var random nonce
	rand.Read(random[:]) // never fails
	at, once := strconv.FormatInt(now.UnixMilli(), 10), hex.EncodeToString(random[:])
	r.Header.Set(headerSignature, strings.Join([]string{signatureVersion, at, once, digest(r, secret, at, once)}, " "))
}

// digest is the HMAC over everything the owner acts on. No part can contain a newline: net/http refuses it in each.
func digest(r *http.Request, secret []byte, at, once string) string {
	mac := hmac.New(sha256.New, secret)
	for _, part := range []string{
		signatureVersion, r.Method, r.URL.RequestURI(), r.Host, r.Header.Get("Origin"),
		r.Header.Get(headerClient), r.Header.Get(headerScheme), r.Header.Get(headerBody), at, once,
	} {
		mac.Write([]byte(part))
		mac.Write([]byte{'\n'})
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// nonce makes a signature unique.
type nonce [nonceBytes]byte

// verifier checks the signatures of incoming requests and remembers their nonces for as long as they could be used
// again. Safe for concurrent use.
type verifier struct {
	mu sync.Mutex
	// mu guards the following. Each nonce is in one of two generations, which are exchanged every 2 × signatureAge: the
	// older one then holds only signatures that are stale by now.
	recent, older map[nonce]struct{}
	exchanged     time.Time
}

// verify reports why a request cannot be believed; nil when it can.
func (v *verifier) verify(r *http.Request, secret []byte, now time.Time) error {
	parts := strings.Split(r.Header.Get(headerSignature), " ")
	if len(parts) != 4 || parts[0] != signatureVersion || len(parts[2]) != hex.EncodedLen(nonceBytes) {
		return errUnsigned
	}
	if !hmac.Equal([]byte(parts[3]), []byte(digest(r, secret, parts[1], parts[2]))) {
		return errForged
	}
	ms, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || now.Sub(time.UnixMilli(ms)).Abs() > signatureAge {
		return errStale
	}
	var once nonce
	if _, err := hex.Decode(once[:], []byte(parts[2])); err != nil {
		return errForged
	}
	return v.spend(once, now)
}

// spend remembers a nonce, unless it was used before. Only signed requests get here, so the memory that a flood of
// unsigned ones can take is none.
func (v *verifier) spend(once nonce, now time.Time) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.exchanged) > 2*signatureAge {
		v.older, v.recent = v.recent, make(map[nonce]struct{})
		v.exchanged = now
	}
	_, again := v.recent[once]
	if _, before := v.older[once]; again || before {
		return errReplayed
	}
	if len(v.recent) >= maxNonces {
		return errFull
	}
	v.recent[once] = struct{}{}
	return nil
}
