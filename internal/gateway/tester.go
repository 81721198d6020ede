package gateway

import (
	"net/http"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
)

// NewTester compiles the rules of a configuration to try them on paper. Nothing is started.
func NewTester(cfg config.Config) (*policy.Tester, error) {
	verifier, err := auth.New(cfg.Auth, auth.Options{})
	if err != nil {
		return nil, err
	}
	return policy.NewTester(policyConfig(cfg), policy.Tokens{
		Verifier: verifier,
		Places:   auth.NewPlaces(cfg.Auth.Token, func(http.Header) bool { return false }),
	})
}
