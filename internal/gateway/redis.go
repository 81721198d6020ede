package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/carillon-io/carillon/internal/config"
)

// RedisClient makes a client for the Redis that a configuration names. It dials nothing.
func RedisClient(cfg config.Redis) (goredis.UniversalClient, error) {
	security, err := redisTLS(cfg.TLS)
	if err != nil {
		return nil, err
	}
	if len(cfg.Cluster.Addresses)+len(cfg.Sentinel.Addresses) == 0 {
		return redisByURL(cfg, security)
	}
	options := &goredis.UniversalOptions{
		Addrs:                    cfg.Cluster.Addresses,
		Username:                 cfg.Username,
		Password:                 string(cfg.Password),
		TLSConfig:                security,
		MaxRetries:               noRetries,
		Protocol:                 protocol,
		DisableIdentity:          true,
		MaintNotificationsConfig: noMaintenance(),
	}
	if len(cfg.Cluster.Addresses) > 0 {
		return goredis.NewClusterClient(options.Cluster()), nil
	}
	options.Addrs = cfg.Sentinel.Addresses
	options.MasterName = cfg.Sentinel.Master
	options.SentinelUsername, options.SentinelPassword = cfg.Sentinel.Username, string(cfg.Sentinel.Password)
	return goredis.NewFailoverClient(options.Failover()), nil
}

// A publish whose reply was lost may have been carried out: sending it again would deliver it twice.
const noRetries = -1

// What else go-redis would ask of each new connection needs rights, and nothing here has use for it.
const protocol = 2

func noMaintenance() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// redisByURL lets what the configuration says apart from the URL win over the URL.
func redisByURL(cfg config.Redis, security *tls.Config) (*goredis.Client, error) {
	options, err := goredis.ParseURL(string(cfg.URL))
	if err != nil {
		// What the library says repeats parts of the URL, the password's among them.
		return nil, errors.New("redis.url: is not a URL such as redis://host:6379/0; in a password, write characters such as " +
			"/ # % as %2F %23 %25")
	}
	if cfg.Username != "" {
		options.Username = cfg.Username
	}
	if cfg.Password != "" {
		options.Password = string(cfg.Password)
	}
	if security != nil {
		if options.TLSConfig == nil {
			return nil, fmt.Errorf("redis.tls: of no use with %s, only with rediss://", cfg.URL)
		}
		if security.ServerName == "" {
			security.ServerName = options.TLSConfig.ServerName
		}
		options.TLSConfig = security
	}
	options.MaxRetries = noRetries
	options.Protocol = protocol
	options.DisableIdentity = true
	options.MaintNotificationsConfig = noMaintenance()
	return goredis.NewClient(options), nil
}

// redisTLS is nil when nothing is said about TLS.
func redisTLS(cfg config.RedisTLS) (*tls.Config, error) {
	if cfg == (config.RedisTLS{}) {
		return nil, nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName}
	var noCA, noPair error
	if cfg.CA != "" {
		var text []byte
		text, noCA = pemText("redis.tls.ca", string(cfg.CA))
		settings.RootCAs = x509.NewCertPool()
		if noCA == nil && !settings.RootCAs.AppendCertsFromPEM(text) {
			noCA = errors.New("redis.tls.ca: holds no certificate")
		}
	}
	if cfg.Cert != "" {
		var pair tls.Certificate
		pair, noPair = keyPair("redis.tls", cfg.Cert, cfg.Key)
		settings.Certificates = []tls.Certificate{pair}
	}
	if err := errors.Join(noCA, noPair); err != nil {
		return nil, err
	}
	return settings, nil
}
