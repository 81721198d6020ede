package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// RSA keys below are too weak (RFC 7518, section 3.3), above too slow to be checked for strangers.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// key is a public key that signatures are checked with.
type key struct {
	public any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	id     string // its kid; empty: none
	only   string // the one algorithm it is meant for; empty: every one that it fits
}

// fits reports whether the key may check signatures of this algorithm. The library compares types of keys, not curves.
func (k *key) fits(algorithm string) bool {
	return (k.only == "" || k.only == algorithm) && slices.Contains(algorithmsOf(k.public), algorithm)
}

// algorithmsOf lists what a public key can check.
func algorithmsOf(public any) []string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return rsaAlgorithms
	case ed25519.PublicKey:
		return edAlgorithms
	case *ecdsa.PublicKey:
		return ecAlgorithms[public.Curve.Params().BitSize]
	}
	return nil
}

var (
	secretAlgorithms = []string{"HS256", "HS384", "HS512"}
	rsaAlgorithms    = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	edAlgorithms     = []string{"EdDSA"}
	ecAlgorithms     = map[int][]string{256: {"ES256"}, 384: {"ES384"}, 521: {"ES512"}}
	allAlgorithms    = slices.Concat(secretAlgorithms, rsaAlgorithms, edAlgorithms, []string{"ES256", "ES384", "ES512"})
)

// usable returns an error for keys that signatures cannot, or must not, be checked with.
func usable(public any) error {
	if k, ok := public.(*rsa.PublicKey); ok {
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("an RSA key of %d bits; %d to %d are possible", bits, minRSABits, maxRSABits)
		}
	}
	if algorithmsOf(public) == nil {
		return fmt.Errorf("a key of type %T, which no algorithm of tokens takes", public)
	}
	return nil
}

// parsePEM reads the public keys of a PEM text: PUBLIC KEY, RSA PUBLIC KEY, CERTIFICATE, one or several.
func parsePEM(text []byte) ([]key, error) {
	var keys []key
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			if strings.TrimSpace(string(rest)) != "" {
				return nil, errors.New("something in it is not PEM")
			}
			break
		}
		public, err := parseBlock(block)
		if err == nil {
			err = usable(public)
		}
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
		}
		keys = append(keys, key{public: public})
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no key")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch {
	case block.Type == "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("a private key; tokens are checked with the public one")
	}
	return nil, fmt.Errorf("PEM of type %q", block.Type)
}
