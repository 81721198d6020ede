package gateway

import (
	"errors"
	"fmt"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
)

// Check finds what is wrong with a configuration beyond its form: rules that do not compile, files that are not there. The
// error names all of it, where New stops at the first.
func Check(cfg config.Config) error {
	var unused certificate
	_, faultyTLS := unused.prepare(cfg.Server.TLS)
	_, faultyRules := policy.New(cfg.Namespaces, policy.Options{})
	if err := errors.Join(faultyTLS, checkBundle(cfg.Server.ClientBundle), checkRedis(cfg), faultyRules); err != nil {
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

func checkRedis(cfg config.Config) error {
	if !cfg.Redis.Configured() {
		return nil
	}
	client, err := RedisClient(cfg.Redis)
	if err != nil {
		return err
	}
	return client.Close()
}
