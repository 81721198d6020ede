package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

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

// String returns a file's name as it is, and the mask for what may be a key.
func (k PrivateKey) String() string { return FileName(string(k)) }

// GoString keeps the key out of %#v.
func (k PrivateKey) GoString() string { return k.String() }

// MarshalText keeps the key out of JSON and of structured logs.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// hideKey replaces a text with a private key in it, such as a certificate and its key in one.
func hideKey(text string) string {
	if strings.Contains(text, "PRIVATE KEY-----") {
		return mask
	}
	return text
}

// PEM is a certificate or a public key, or several, as PEM text or as the name of a file. What is neither, such as a secret
// in the wrong place or a private key, is never printed or logged.
type PEM string

// String returns a file's name or PEM text as it is, and the mask for anything else.
func (p PEM) String() string {
	if text := string(p); strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN ") {
		return hideKey(text)
	}
	return FileName(string(p))
}

// GoString keeps what may be a secret out of %#v.
func (p PEM) GoString() string { return p.String() }

// MarshalText keeps what may be a secret out of JSON and of structured logs.
func (p PEM) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// FileName returns text that names a file as it is, and the mask for what may be a secret in the place of one.
func FileName(text string) string {
	begins := func(prefix string) bool { return strings.HasPrefix(text, prefix) }
	const longestExtension = 5 // with its dot
	extension := len(filepath.Ext(text))
	if text == "" || !strings.ContainsAny(text, "\r\n") &&
		(begins("/") || begins("./") || begins("../") || extension > 1 && extension <= longestExtension) {
		return text
	}
	return mask
}

// FileError says why a file cannot be read that text, perhaps a secret, was taken to name.
func FileError(text string, err error) error {
	var failure *fs.PathError
	if errors.As(err, &failure) {
		return &fs.PathError{Op: failure.Op, Path: FileName(text), Err: failure.Err}
	}
	return fmt.Errorf("open %s", FileName(text))
}

// URL is an address whose secrets are never printed or logged: its user name and password, and parameters of such names.
type URL string

// String returns the URL with a mask for everything before the last @. A password may hold characters that belong
// escaped, so that part is not parsed: hiding too much of a strange URL is better than too little.
func (u URL) String() string {
	text, scheme := string(u), ""
	if i := strings.Index(text, "://"); i >= 0 {
		scheme, text = text[:i+len("://")], text[i+len("://"):]
	}
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		text = mask + text[at:]
	} else if _, err := url.Parse(string(u)); err != nil && text != "" {
		return scheme + mask
	}
	address, query, found := strings.Cut(text, "?")
	address = maskPath(address)
	if found {
		address += "?" + query
	}
	return scheme + maskParameters(address)
}

// maskPath hides the parts of a path that may be secrets, as in the addresses of webhooks that are all that a caller needs:
// what follows a part whose name says so, and what looks drawn by chance.
func maskPath(address string) string {
	parts := strings.Split(address, "/")
	for i := 1; i < len(parts); i++ {
		if parts[i] != "" && (drawn.MatchString(parts[i]) && len(digits.FindAllString(parts[i], 3)) == 3 || i > 1 && isSecretWord(parts[i-1])) {
			parts[i] = mask
		}
	}
	return strings.Join(parts, "/")
}

var (
	// drawn matches what may be a random number, in hexadecimal or Base64.
	drawn  = regexp.MustCompile(`^[A-Za-z0-9_%+=~-]{16,}$`)
	digits = regexp.MustCompile(`[0-9]`)
)

// isSecretWord reports whether a part of a path announces a secret: as a whole, since parts are words rather than names.
func isSecretWord(part string) bool {
	return slices.Contains([]string{"key", "secret", "token", "password", "sig", "signature"}, foldName(part))
}

// maskParameters hides the values of parameters that may be secrets.
func maskParameters(text string) string {
	address, query, found := strings.Cut(text, "?")
	if !found {
		return text
	}
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		if name, _, given := strings.Cut(p, "="); given && isSecretName(name) {
			parameters[i] = name + "=" + mask
		}
	}
	return address + "?" + strings.Join(parameters, "&")
}

// GoString keeps the secrets out of %#v.
func (u URL) GoString() string { return u.String() }

// MarshalText keeps the secrets out of JSON and of structured logs.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// credentials finds the user name and password of a URL in a text.
var credentials = regexp.MustCompile(`://\S*@`)

// Mask hides user names and passwords of URLs in a message for people.
func Mask(text string) string { return credentials.ReplaceAllString(text, "://"+mask+"@") }

// secretWords are parts of names that hold secrets.
var secretWords = []string{
	"pass", "pwd", "pw", "secret", "key", "token", "cred", "cert", "auth", "private", "sig", "bearer", "jwt", "code",
}

func isSecretName(name string) bool {
	name = foldName(name)
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// secretSections hold secrets, so that a value under a wrong name there may be one.
var secretSections = []string{"redis", "auth", "peer", "tls", "api", "webhook", "ask"}

// maySecret reports whether what stands at key, which is not a known key or has not the form of one, may be a secret.
func maySecret(key string) bool {
	for _, name := range strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		for _, section := range secretSections {
			if name == section {
				return true
			}
		}
		if isSecretName(name) {
			return true
		}
	}
	return false
}
