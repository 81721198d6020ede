package gateway

import (
	"errors"
	"fmt"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
)

// Check finds what New would refuse in a configuration and adds it to loaded, the error that loading it ended with: files
// that are missing or hold something else, rules that do not compile. It names all faults, where New stops at the first.
func Check(cfg config.Config, loaded error) error {
	var unused certificate
	_, faultyTLS := unused.prepare(cfg.Server.TLS)
	if loaded == nil {
		_, loaded = policy.New(policyConfig(cfg), policy.Options{})
	}
	_, faultyKeys := auth.New(cfg.Auth, auth.Options{})
	if err := errors.Join(loaded, faultyTLS, faultyKeys, checkAPI(cfg.API), checkBundle(cfg.Server.ClientBundle), checkRedis(cfg.Redis, loaded)); err != nil {
		return err
	}
	g, err := New(Options{Config: cfg})
	if err != nil {
		return err
	}
	return g.close()
}

func checkBundle(dir string) error {
	if dir == "" {
		return nil
	}
	if _, err := loadBundle(dir); err != nil {
		return fmt.Errorf("server.client_bundle: %w", err)
	}
	return nil
}

// checkRedis checks the files of a Redis, and its URL where loading had nothing against it.
func checkRedis(cfg config.Redis, loaded error) error {
	if loaded != nil || !cfg.Configured() {
		_, err := redisTLS(cfg.TLS)
		return err
	}
	client, err := RedisClient(cfg)
	if err != nil {
		return err
	}
	return client.Close()
}
