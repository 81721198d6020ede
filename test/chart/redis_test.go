package chart

import (
	"fmt"
	"testing"
)

// Egress is open to Redis on the ports it is on, and closed where there is none.
func TestRedis_NetworkPolicyFollowsIt(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{"redis.existingSecret=r"}, "[6379]"},
		{[]string{"redis.existingSecret=r", "networkPolicy.redis.ports={6380}"}, "[6380]"},
		{[]string{"config.redis.url=redis://r"}, "[6379]"},
		{[]string{"config.redis.url=redis://user:p%40ss:1@r:6390/2?x=y:1"}, "[6390]"},
		{[]string{"config.redis.url=rediss://[::1]/0"}, "[6379]"},
		{[]string{"config.redis.cluster.addresses={a:7000,b:7001,c:7000}"}, "[7000 7001]"},
		{[]string{"config.redis.sentinel.addresses={a:26379,b:26379}", "config.redis.sentinel.master=m"}, "[26379 6379]"},
	} {
		t.Run(fmt.Sprint(c.values), func(t *testing.T) {
			egress, _ := render(t, c.values...).must(t, "NetworkPolicy", release).at("spec", "egress").([]any)
			if len(egress) != 3 {
				t.Fatalf("%d rules, want DNS, Redis and the other nodes", len(egress))
			}
			ports, _ := asObject(egress[1]).at("ports").([]any)
			var got []any
			for _, p := range ports {
				got = append(got, asObject(p)["port"])
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("ports %v, want %s", got, c.want)
			}
		})
	}
	egress, _ := render(t).must(t, "NetworkPolicy", release).at("spec", "egress").([]any)
	if len(egress) != 2 {
		t.Errorf("without a Redis there are %d rules, want DNS and the other nodes", len(egress))
	}
}

func TestRedis_SecretGivesWhatConfigDoesNot(t *testing.T) {
	const secret = "redis.existingSecret=shared"
	all := render(t, "replicaCount=2", secret)
	want := "map[key:url name:shared]" // and not optional: a pod without it must not start
	if got := fmt.Sprint(all.gateway(t).env("CARILLON_REDIS_URL").at("valueFrom", "secretKeyRef")); got != want {
		t.Errorf("the URL comes from %s, want %s", got, want)
	}
	if got := all.gateway(t).env("CARILLON_REDIS_PASSWORD").at("valueFrom", "secretKeyRef", "optional"); got != true {
		t.Error("a Secret without a password keeps the pods from starting")
	}
	all = render(t, secret, "config.redis.url=redis://r", "redis.secretKeys.password=redis-password")
	if got := all.gateway(t).env("CARILLON_REDIS_URL"); got != nil {
		t.Errorf("there are two URLs, one from the Secret: %v", got)
	}
	if got := all.gateway(t).env("CARILLON_REDIS_PASSWORD").at("valueFrom", "secretKeyRef", "key"); got != "redis-password" {
		t.Errorf("the password is read from %v", got)
	}
}

// With a Secret whose URL is empty the nodes would run alone; a kind that needs a Redis keeps them from starting.
func TestRedis_NodesNeverRunAloneByAccident(t *testing.T) {
	text, _ := render(t, "replicaCount=2", "redis.existingSecret=shared").must(t, "ConfigMap", release).at("data", "carillon.yaml").(string)
	if got := parse(t, []byte(text))[0].at("adapter", "kind"); got != "pubsub" {
		t.Errorf("adapter.kind is %v, want pubsub", got)
	}
	sharded := render(t, "redis.existingSecret=shared", "config.adapter.kind=sharded")
	text, _ = sharded.must(t, "ConfigMap", release).at("data", "carillon.yaml").(string)
	if got := parse(t, []byte(text))[0].at("adapter", "kind"); got != "sharded" {
		t.Errorf("adapter.kind is %v, want sharded", got)
	}
}

func TestDevRedis_IsWhereTheGatewaysLook(t *testing.T) {
	all := render(t, "replicaCount=2", "devRedis.enabled=true")
	if got, want := string(load(t, all).Redis.URL), "redis://carillon-dev-redis:6379"; got != want {
		t.Errorf("redis.url is %s, want %s", got, want)
	}
	all.must(t, "Service", "carillon-dev-redis")
	if render(t).find("Deployment", "carillon-dev-redis") != nil {
		t.Error("there is a development Redis nobody asked for")
	}
}
