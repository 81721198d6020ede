package auth

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// maxDepth bounds the nesting of a token's header and claims.
const maxDepth = 64

// maxSeconds is the last second of the year 9999: dates beyond it are mistakes, and would overflow a duration.
const maxSeconds = 253402300799

// claims is the payload of a token. It implements jwt.Claims, so that the library compares times, issuer and audience.
type claims struct {
	text               []byte // nil until a payload was read
	expires, notBefore *jwt.NumericDate
	issuer, subject    string
	audience           jwt.ClaimStrings
}

var _ jwt.Claims = (*claims)(nil)

// UnmarshalJSON reads the payload strictly: an object, no member name twice at any level, and the registered claims of
// the types that RFC 7519 gives them.
func (c *claims) UnmarshalJSON(text []byte) error {
	return members(text, func(name string, d *jsontext.Decoder) (err error) {
		switch name {
		case "exp":
			c.expires, err = readDate(d)
		case "nbf":
			c.notBefore, err = readDate(d)
		case "iss":
			c.issuer, err = readText(d)
		case "sub":
			c.subject, err = readSubject(d)
		case "aud":
			c.audience, err = readAudience(d)
		default:
			err = skip(d)
		}
		return err
	}, func() { c.text = bytes.Clone(text) })
}

// members reads an object strictly and calls member at the value of each member; read is called once all of it was right.
func members(text []byte, member func(name string, d *jsontext.Decoder) error, read func()) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	open, err := d.ReadToken()
	if err != nil || open.Kind() != '{' {
		return errClaims
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return errClaims
		}
		if err := member(name.String(), d); err != nil {
			return err
		}
	}
	read()
	return nil
}

// skip passes over one value.
func skip(d *jsontext.Decoder) error {
	for outside := d.StackDepth(); ; {
		if _, err := d.ReadToken(); err != nil || d.StackDepth() > maxDepth {
			return errClaims
		}
		if d.StackDepth() == outside {
			return nil
		}
	}
}

func readText(d *jsontext.Decoder) (string, error) {
	t, err := d.ReadToken()
	if err != nil || t.Kind() != '"' {
		return "", errClaims
	}
	return t.String(), nil
}

// readSubject takes a whole number as its text as well: some issuers write user ids as they stand in their database.
func readSubject(d *jsontext.Decoder) (string, error) {
	if d.PeekKind() != '0' {
		return readText(d)
	}
	t, err := d.ReadToken()
	if err != nil {
		return "", errClaims
	}
	if _, err := strconv.ParseInt(t.String(), 10, 64); err != nil {
		return "", errClaims
	}
	return t.String(), nil
}

func readAudience(d *jsontext.Decoder) (jwt.ClaimStrings, error) {
	if d.PeekKind() != '[' {
		one, err := readText(d)
		return jwt.ClaimStrings{one}, err
	}
	_, err := d.ReadToken()
	var all jwt.ClaimStrings
	for err == nil && d.PeekKind() != ']' {
		var one string
		one, err = readText(d)
		all = append(all, one)
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	if err != nil {
		return nil, errClaims
	}
	return all, nil
}

func readDate(d *jsontext.Decoder) (*jwt.NumericDate, error) {
	t, err := d.ReadToken()
	if err != nil || t.Kind() != '0' {
		return nil, errClaims
	}
	seconds, err := strconv.ParseFloat(t.String(), 64)
	if err != nil || math.Abs(seconds) > maxSeconds {
		return nil, errClaims
	}
	whole, part := math.Modf(seconds)
	return &jwt.NumericDate{Time: time.Unix(int64(whole), int64(part*float64(time.Second)))}, nil
}

// GetExpirationTime and the other getters make claims a jwt.Claims.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.expires, nil }

// GetNotBefore is the claim nbf.
func (c *claims) GetNotBefore() (*jwt.NumericDate, error) { return c.notBefore, nil }

// GetIssuedAt is nil: when a token was made is not checked.
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) { return nil, nil } //nolint:nilnil // as the interface has it

// GetIssuer is the claim iss.
func (c *claims) GetIssuer() (string, error) { return c.issuer, nil }

// GetSubject is the claim sub.
func (c *claims) GetSubject() (string, error) { return c.subject, nil }

// GetAudience is the claim aud.
func (c *claims) GetAudience() (jwt.ClaimStrings, error) { return c.audience, nil }
