package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/carillon-io/carillon/internal/config"
)

// Sign makes a token of these claims that a node of the configuration takes: signed with its secret, the first where it
// has several, for its issuer and audience unless the claims say otherwise. A ttl of 0 makes one that never expires.
func Sign(cfg config.JWT, claims map[string]any, ttl time.Duration) (string, error) {
	ring, err := newKeyring(config.JWT{Secret: cfg.Secret}, 0)
	if err != nil {
		return "", err
	}
	if len(ring.secrets) == 0 {
		return "", errors.New("auth.jwt.secret: no secret to sign with")
	}
	algorithm := secretAlgorithms[0]
	if len(cfg.Algorithms) > 0 {
		i := slices.IndexFunc(secretAlgorithms, func(a string) bool { return slices.Contains(cfg.Algorithms, a) })
		if i < 0 {
			return "", fmt.Errorf("auth.jwt.algorithms: none of %s is allowed", strings.Join(secretAlgorithms, ", "))
		}
		algorithm = secretAlgorithms[i]
	}
	now := time.Now()
	all := jwt.MapClaims{"iat": now.Unix()}
	if ttl != 0 {
		all["exp"] = now.Add(ttl).Unix()
	}
	if cfg.Issuer != "" {
		all["iss"] = cfg.Issuer
	}
	if cfg.Audience != "" {
		all["aud"] = cfg.Audience
	}
	for name, value := range claims {
		all[name] = value
	}
	token, err := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), all).SignedString(ring.secrets[0])
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return token, nil
}
