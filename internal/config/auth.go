package config

import "time"

// What Auth.Expiry may say.
const (
	ExpiryDisconnect = "disconnect"
	ExpiryKeep       = "keep"
)

// Auth is how clients prove who they are.
type Auth struct {
	JWT JWT `key:"jwt,live"`
	// Token lists the places to look for a token; the first that holds something counts.
	Token []string `key:"token"`
	// Leeway is the difference between clocks that is forgiven.
	Leeway time.Duration `key:"leeway"`
	// Expiry is what happens to a socket whose token has run out: disconnect or keep.
	Expiry string `key:"expiry"`
}

// JWT holds the keys tokens are checked with and the claims they must carry.
type JWT struct {
	Secret Secret `key:"secret"`
	// PublicKey is PEM text or the name of a file.
	PublicKey  string   `key:"public_key"`
	JWKS       URL      `key:"jwks"`
	Algorithms []string `key:"algorithms"`
	Issuer     string   `key:"issuer"`
	Audience   string   `key:"audience"`
}

// HasKey reports whether there is a key to check tokens with. Without one tokens are not looked at.
func (j *JWT) HasKey() bool {
	return j.Secret != "" || j.PublicKey != "" || j.JWKS != ""
}
