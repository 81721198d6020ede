package config

import "time"

// What Auth.Expiry may say.
const (
	ExpiryDisconnect = "disconnect"
	ExpiryKeep       = "keep"
)

// Auth is how clients prove who they are.
type Auth struct {
	// Keys that tokens are checked with and claims they must carry. Without a key tokens are not looked at; with one, a token that
	// is present must be valid, whatever a namespace requires.
	JWT JWT `key:"jwt,live"`
	// Places to look for a token: `auth.token`, `header.authorization` (Bearer), `query.token`, `cookie.<name>`. The first that holds
	// something counts. A cookie counts only from the own host's pages and listed origins, so it is impossible with `origins: ["*"]`.
	Token []string `key:"token"`
	// Difference between clocks that is forgiven.
	Leeway time.Duration `key:"leeway"`
	// What happens to a socket when its token expires: disconnect (unless `auth:refresh` renewed it), or keep.
	Expiry string `key:"expiry"`
}

// JWT holds the keys tokens are checked with and the claims they must carry.
type JWT struct {
	// Shared secret, for HS256, HS384 and HS512; several, one a line, while it is being changed.
	Secret Secret `key:"secret"`
	// Public keys or certificates, one or several: PEM text or the name of a file, which is read again when it changes.
	PublicKey PEM `key:"public_key"`
	// URL of a JSON Web Key Set.
	JWKS URL `key:"jwks"`
	// Signatures to accept, such as RS256. Empty: those that fit the keys.
	Algorithms []string `key:"algorithms"`
	// What iss must be. Empty: anything.
	Issuer string `key:"issuer"`
	// What aud must be or contain. Empty: anything.
	Audience string `key:"audience"`
}

// HasKey reports whether there is a key to check tokens with. Without one tokens are not looked at.
func (j *JWT) HasKey() bool {
	return j.Secret != "" || j.PublicKey != "" || j.JWKS != ""
}
