package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"

	"github.com/carillon-io/carillon/internal/config"
)

const (
	// maxToken bounds a token.
	maxToken = 16 << 10
	// maxTries bounds how many keys a token is tried with that does not name its key.
	maxTries = 16
)

// keyring is what tokens are judged by. Immutable, but for the keys that the source fetches.
type keyring struct {
	looks   bool
	leeway  time.Duration
	secrets []any // of []byte
	pem     []key
	source  *source // nil: no key set is fetched
	parser  *jwt.Parser
	times   *jwt.Validator
}

func newKeyring(cfg config.JWT, leeway time.Duration) (*keyring, error) {
	r := &keyring{looks: cfg.HasKey(), leeway: leeway}
	for line := range strings.SplitSeq(string(cfg.Secret), "\n") {
		if line = strings.TrimSuffix(line, "\r"); line != "" {
			r.secrets = append(r.secrets, []byte(line))
		}
	}
	var err error
	if r.pem, err = readPEM(string(cfg.PublicKey)); err != nil {
		return nil, err
	}
	algorithms := cfg.Algorithms
	if len(algorithms) == 0 {
		algorithms = allAlgorithms
	}
	options := []jwt.ParserOption{jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(), jwt.WithLeeway(leeway)}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if cfg.Audience != "" {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	r.parser, r.times = jwt.NewParser(options...), jwt.NewValidator(options...)
	return r, nil
}

// verify judges a token by the keys known. unknown is what the source knows a key by that would have to be fetched to be
// sure: then err holds only if no fetch brings it.
func (r *keyring) verify(token string) (t *Token, unknown *string, err error) {
	if len(token) > maxToken {
		return nil, nil, errTooLong
	}
	a := attempt{ring: r}
	_, err = r.parser.ParseWithClaims(token, &a.claims, a.keys)
	if err != nil {
		return nil, a.unknown, a.verdict(err)
	}
	t = &Token{Subject: a.claims.subject, Claims: a.claims.text}
	if a.claims.expires != nil {
		t.Expires = a.claims.expires.Add(r.leeway)
	}
	return t, nil, nil
}

// attempt is the judging of one token.
type attempt struct {
	ring    *keyring
	claims  claims
	formed  bool // form and algorithm were found right
	unknown *string
}

// keys returns the keys that may have signed a token, once its form has been found right.
func (a *attempt) keys(t *jwt.Token) (any, error) {
	a.formed = true
	if a.claims.text == nil {
		return nil, errClaims
	}
	id, err := keyID(t.Raw)
	if err != nil {
		return nil, err
	}
	algorithm := t.Method.Alg()
	if slices.Contains(secretAlgorithms, algorithm) {
		if len(a.ring.secrets) == 0 {
			return nil, errNoKey
		}
		return verificationKeys(a.ring.secrets), nil
	}
	fitting := func(dst []any, from []key) []any {
		for i := range from {
			if len(dst) < maxTries && from[i].fits(algorithm) {
				dst = append(dst, from[i].public)
			}
		}
		return dst
	}
	var fetched []any
	if s := a.ring.source; s != nil {
		set := s.keys.Load()
		named := set.find(id)
		if id == "" || len(named) == 0 {
			a.unknown = wantedKey(id, t.Raw)
		}
		if len(named) == 0 && set != nil {
			named = set.byID[""] // an issuer that names its keys in tokens only
		}
		fetched = fitting(nil, named)
	}
	all := fitting(fetched, a.ring.pem)
	if a.unknown != nil {
		// A token that no key could save is not worth a fetch.
		if err := a.ring.times.Validate(&a.claims); err != nil {
			a.unknown = nil
			if len(all) == 0 {
				return nil, err
			}
		}
	}
	if len(all) == 0 {
		return nil, errNoKey
	}
	return verificationKeys(all), nil
}

func verificationKeys(keys []any) jwt.VerificationKeySet {
	set := jwt.VerificationKeySet{Keys: make([]jwt.VerificationKey, len(keys))}
	for i, k := range keys {
		set.Keys[i] = k
	}
	return set
}

// wantedKey is what the source remembers an unknown key by: its id, or else the token that no key fits.
func wantedKey(id, token string) *string {
	if id == "" {
		hash := sha256.Sum256([]byte(token))
		id = "\x00" + string(hash[:])
	}
	return &id
}

// keyID reads the header more strictly than the library does, and returns its kid.
func keyID(token string) (id string, err error) {
	segment, _, _ := strings.Cut(token, ".")
	header, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return "", errHeader
	}
	err = members(header, func(name string, d *jsontext.Decoder) (err error) {
		switch name {
		case "crit":
			return errCritical // no extension is understood here, so none that matters may be passed over
		case "kid":
			if id, err = readText(d); err != nil || len(id) > maxKeyID {
				return errKeyID
			}
			return nil
		}
		return skip(d)
	}, func() {})
	if errors.Is(err, errClaims) {
		err = errHeader
	}
	return id, err
}

// verdict is what the library's error means.
func (a *attempt) verdict(err error) *Error {
	var ours *Error
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, jwt.ErrTokenMalformed):
		return errMalformed
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return errIssuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return errAudience
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return errNoClaim
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return errNotYetValid
	case errors.Is(err, jwt.ErrTokenExpired):
		return errExpired
	case a.formed:
		return errSignature
	}
	return errAlgorithm
}
