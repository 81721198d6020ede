package gateway_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/test/certtest"
)

func redisClient(t *testing.T, cfg config.Redis) goredis.UniversalClient {
	t.Helper()
	client, err := gateway.RedisClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func simpleOptions(t *testing.T, cfg config.Redis) *goredis.Options {
	t.Helper()
	client, ok := redisClient(t, cfg).(*goredis.Client)
	if !ok {
		t.Fatalf("a %T", client)
	}
	return client.Options()
}

func TestRedisClient_KeysWinOverTheURL(t *testing.T) {
	t.Parallel()
	url := config.URL("redis://me:old@redis.example:7000/3?read_timeout=7s")
	o := simpleOptions(t, config.Redis{URL: url})
	if o.Addr != "redis.example:7000" || o.DB != 3 || o.Username != "me" || o.Password != "old" || o.TLSConfig != nil {
		t.Errorf("from the URL: %+v", o)
	}
	if o.ReadTimeout != 7*time.Second || o.MaxRetries != 0 {
		t.Errorf("read timeout %s, %d retries", o.ReadTimeout, o.MaxRetries)
	}
	o = simpleOptions(t, config.Redis{URL: url, Username: "you", Password: "new"})
	if o.Username != "you" || o.Password != "new" {
		t.Errorf("keys: %s, %s", o.Username, o.Password)
	}
	o = simpleOptions(t, config.Redis{URL: "unix:///run/redis.sock?db=2"})
	if o.Network != "unix" || o.Addr != "/run/redis.sock" || o.DB != 2 {
		t.Errorf("unix: %+v", o)
	}
}

func TestRedisClient_SentinelAndCluster(t *testing.T) {
	t.Parallel()
	o := simpleOptions(t, config.Redis{
		Sentinel: config.RedisSentinel{Addresses: []string{"s:1", "s:2"}, Master: "m", Username: "su", Password: "sp"},
		Username: "u", Password: "p", TLS: config.RedisTLS{ServerName: "name"},
	})
	if o.Username != "u" || o.Password != "p" || o.TLSConfig == nil || o.TLSConfig.ServerName != "name" {
		t.Errorf("sentinel: %+v", o)
	}
	cluster, ok := redisClient(t, config.Redis{
		Cluster:  config.RedisCluster{Addresses: []string{"c:1", "c:2"}},
		Username: "u", Password: "p", TLS: config.RedisTLS{ServerName: "name"},
	}).(*goredis.ClusterClient)
	if !ok {
		t.Fatal("no cluster client")
	}
	c := cluster.Options()
	if len(c.Addrs) != 2 || c.Username != "u" || c.Password != "p" || c.TLSConfig == nil || c.MaxRetries > 0 {
		t.Errorf("cluster: %+v", c)
	}
}

// keyPair is a certificate that signs itself, and its key, as PEM text.
func keyPair(t *testing.T) (cert, key string) {
	t.Helper()
	c := certtest.New(t, "redis")
	return string(c.Cert), string(c.Key)
}

func TestRedisClient_TLSFromTextAndFile(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t)
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	o := simpleOptions(t, config.Redis{
		URL: "rediss://redis.example:6380",
		TLS: config.RedisTLS{CA: config.PEM(cert), Cert: config.PEM(cert), Key: config.PrivateKey(file)},
	})
	settings := o.TLSConfig
	if settings.RootCAs == nil || len(settings.Certificates) != 1 || settings.ServerName != "redis.example" ||
		settings.MinVersion != tls.VersionTLS12 {
		t.Errorf("settings %+v", settings)
	}
	if o := simpleOptions(t, config.Redis{URL: "rediss://redis.example"}); o.TLSConfig == nil || o.TLSConfig.RootCAs != nil {
		t.Errorf("rediss alone: %+v", o.TLSConfig)
	}
}

func TestRedisClient_FaultsNameTheirKey(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t)
	_, otherKey := keyPair(t)
	const url = "rediss://redis.example"
	for name, cfg := range map[string]config.Redis{
		"redis.url":      {URL: "http://redis.example"},
		"redis.tls":      {URL: "redis://redis.example", TLS: config.RedisTLS{CA: config.PEM(cert)}},
		"redis.tls.ca":   {URL: url, TLS: config.RedisTLS{CA: "nowhere.pem"}},
		"redis.tls.ca:":  {URL: url, TLS: config.RedisTLS{CA: config.PEM(key)}},
		"redis.tls: ":    {URL: url, TLS: config.RedisTLS{Cert: config.PEM(cert), Key: config.PrivateKey(otherKey)}},
		"redis.tls.cert": {URL: url, TLS: config.RedisTLS{Cert: "nowhere.pem", Key: config.PrivateKey(otherKey)}},
		"redis.tls.key":  {URL: url, TLS: config.RedisTLS{Cert: config.PEM(cert), Key: "nowhere.pem"}},
	} {
		_, err := gateway.RedisClient(cfg)
		if err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
