package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// publicKey is the file of the key that newToken's tokens are checked with.
func (b *bench) publicKey() string { return filepath.Join(b.dir, "key.pem") }

// newToken writes a new public key and returns a token that its private half signed.
func (b *bench) newToken() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if err := os.WriteFile(b.publicKey(), text, 0o600); err != nil {
		return "", err
	}
	return jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"sub": "2f6f4b9e-2f1c-4d0c-9d7b-9a3f1c2b7a10", "aud": []string{"account", "chat"}, "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(key)
}
