package config

import "strings"

// mask stands where a secret was.
const mask = "********"

// Secret is text that is never printed or logged. Convert it to a string to use it.
type Secret string

// String returns the mask, or nothing when there is no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString keeps the secret out of %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps the secret out of JSON and of structured logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// PrivateKey is a private key as PEM text or as the name of a file. The text is never printed or logged.
type PrivateKey string

// String returns the mask for PEM text, and a file's name as it is.
func (k PrivateKey) String() string {
	if strings.Contains(string(k), "-----BEGIN") || strings.ContainsAny(string(k), "\r\n") {
		return mask
	}
	return string(k)
}

// GoString keeps the key out of %#v.
func (k PrivateKey) GoString() string { return k.String() }

// MarshalText keeps the key out of JSON and of structured logs.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// URL is an address whose user name and password are never printed or logged.
type URL string

// String returns the URL with a mask for everything before the last @. A password may hold characters that belong
// escaped, so the text is not parsed: hiding too much of a strange URL is better than too little.
func (u URL) String() string {
	at := strings.LastIndexByte(string(u), '@')
	if at < 0 {
		return string(u)
	}
	begin := 0
	if scheme := strings.Index(string(u[:at]), "://"); scheme >= 0 {
		begin = scheme + len("://")
	}
	return string(u[:begin]) + mask + string(u[at:])
}

// GoString keeps the password out of %#v.
func (u URL) GoString() string { return u.String() }

// MarshalText keeps the password out of JSON and of structured logs.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
