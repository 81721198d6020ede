package auth

import "errors"

// Code says in a CONNECT_ERROR why a client was refused.
type Code string

// The codes.
const (
	Missing Code = "token_missing"
	Invalid Code = "token_invalid"
	Expired Code = "token_expired"
)

// Error is a verdict about a client's token, or about the lack of one.
type Error struct {
	Code Code
	// Reason is one of a fixed set of texts, for logs. It holds nothing of the token.
	Reason string
}

func (e *Error) Error() string { return "auth: " + e.Reason }

// Message is what the client is told.
func (e *Error) Message() string {
	switch e.Code {
	case Missing:
		return "a token is required"
	case Expired:
		return "the token has expired"
	}
	return "the token is not valid"
}

// ErrMissing is the verdict about a client that must bring a token and did not.
var ErrMissing = &Error{Missing, "no token"}

// ErrUnavailable means that a token cannot be judged now, because its key is not known and cannot be fetched yet.
var ErrUnavailable = errors.New("auth: the key is not known yet and cannot be fetched now")

func invalid(reason string) *Error { return &Error{Invalid, reason} }

// The verdicts.
var (
	errTooLong     = invalid("longer than 16 KiB")
	errMalformed   = invalid("malformed")
	errHeader      = invalid("malformed header")
	errCritical    = invalid("header with crit")
	errKeyID       = invalid("kid is not a text of at most 256 bytes")
	errClaims      = invalid("malformed claims")
	errAlgorithm   = invalid("algorithm not allowed")
	errNoKey       = invalid("no key for it")
	errSignature   = invalid("wrong signature")
	errNotYetValid = invalid("not valid yet")
	errNoClaim     = invalid("no issuer or no audience")
	errIssuer      = invalid("wrong issuer")
	errAudience    = invalid("wrong audience")
	errExpired     = &Error{Expired, "expired"}
)
