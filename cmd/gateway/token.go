package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
)

func newToken() *cobra.Command {
	var (
		secret, file, subject string
		claims                []string
		ttl                   time.Duration
	)
	c := &cobra.Command{
		Use:   "token --secret SECRET|--config FILE [--sub SUBJECT] [--claim NAME=VALUE ...] [--ttl DURATION]",
		Short: "Sign a token to try things with",
		Long: `Sign a JSON Web Token to try things with, and print it.

With --config it is signed with auth.jwt.secret of that configuration, for its issuer and audience. A claim's value is
JSON; what is not JSON is text. A claim given replaces what would be there otherwise. A negative --ttl makes a token
that has expired, 0 one that never does.`,
		Example:               `  gateway token --secret s3cret --sub ann --claim tenant=acme --claim 'roles=["admin"]' --ttl 10m`,
		DisableFlagsInUseLine: true,
		Args:                  arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			if (secret == "") == (file == "") {
				return withHelp(c, errors.New("which secret? Give either --secret SECRET or --config FILE"))
			}
			all, err := claimsOf(subject, claims)
			if err != nil {
				return withHelp(c, err)
			}
			jwt := config.JWT{Secret: config.Secret(secret)}
			if file != "" {
				cfg, _, err := loadConfig(file)
				if err != nil {
					return err
				}
				jwt = cfg.Auth.JWT
			}
			token, err := auth.Sign(jwt, all, ttl)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), token)
			return failed(err)
		},
	}
	flags := c.Flags()
	flags.StringVar(&secret, "secret", "", "`secret` to sign with")
	flags.StringVar(&file, "config", "", "configuration `file` whose auth.jwt.secret signs")
	flags.StringVar(&subject, "sub", "", "`subject`: whom the token is for")
	flags.StringArrayVar(&claims, "claim", nil, "another claim, `name=value`; repeat for several")
	flags.DurationVar(&ttl, "ttl", time.Hour, "how long the token is valid")
	return c
}

// claimsOf reads the claims that the flags give.
func claimsOf(subject string, flags []string) (map[string]any, error) {
	claims := make(map[string]any)
	if subject != "" {
		claims["sub"] = subject
	}
	for _, flag := range flags {
		name, value, ok := strings.Cut(flag, "=")
		if _, twice := claims[name]; !ok || name == "" || twice {
			return nil, fmt.Errorf("--claim %q is not name=value, or names a claim given before", flag)
		}
		if json.Valid([]byte(value)) {
			claims[name] = json.RawMessage(value)
		} else {
			claims[name] = value
		}
	}
	return claims, nil
}
