package chart

import (
	"strings"
	"testing"
)

func TestRefuse_SaysWhatToSet(t *testing.T) {
	const tellsOfRedis = "set config.redis.url or redis.existingSecret"
	for _, c := range []struct {
		values []string
		want   string
	}{
		// What the schema refuses.
		{[]string{"replicas=3"}, "additional properties 'replicas' not allowed"},
		{[]string{"image.name=x"}, "at '/image': additional properties 'name' not allowed"},
		{[]string{"config.redis.uri=x"}, "at '/config/redis': additional properties 'uri' not allowed"},
		{[]string{"config.engine.pingInterval=25s"}, "at '/config/engine': additional properties 'pingInterval' not allowed"},
		{[]string{"config.engine.ping_interval=25"}, "at '/config/engine/ping_interval'"},
		{[]string{"config.engine.max_payload=1 megabyte"}, "at '/config/engine/max_payload'"},
		{[]string{"config.adapter.kind=redis"}, "at '/config/adapter/kind'"},
		{[]string{"config.log.level=verbose"}, "at '/config/log/level'"},
		{[]string{"config.server.path=socket.io"}, "at '/config/server/path'"},
		{[]string{"config.limits.connections=-1"}, "at '/config/limits/connections'"},
		{[]string{"replicaCount=-1"}, "at '/replicaCount': minimum: got -1, want 0"},
		{[]string{"replicaCount=many"}, "at '/replicaCount': got string"},
		{[]string{"service.port=http"}, "at '/service/port': got string, want integer"},
		{[]string{"service.type=ExternalName"}, "at '/service/type'"},
		{[]string{"stickiness.controller=nginx"}, "at '/stickiness/controller'"},
		{[]string{"podDisruptionBudget.enabled=maybe"}, "at '/podDisruptionBudget/enabled': got string, want boolean"},
		{[]string{"redis.existingSecret=My_Secret"}, "at '/redis/existingSecret'"},
		{[]string{"extraEnv[0].value=x"}, "missing property 'name'"},

		// More than one node without a Redis.
		{[]string{"replicaCount=2"}, "replicaCount above 1 needs a Redis, or the nodes would not hear of each other: " + tellsOfRedis},
		{[]string{"replicaCount=null"}, "replicaCount: null needs a Redis"},
		{[]string{"autoscaling.enabled=true"}, "autoscaling.maxReplicas above 1 needs a Redis, or the nodes would not hear of each other: " + tellsOfRedis},
		{[]string{"replicaCount=2", "devRedis.enabled=true", "config.adapter.kind=memory"}, "remove config.adapter.kind=memory"},

		// One Redis.
		{[]string{"devRedis.enabled=true", "redis.existingSecret=r"}, "redis.existingSecret names another; set devRedis.enabled=false"},
		{[]string{"devRedis.enabled=true", "config.redis.url=redis://r"}, "config.redis.url names another; set devRedis.enabled=false"},
		{[]string{"config.redis.url=redis://r", "config.redis.cluster.addresses={a:1}"}, "config.redis.url and config.redis.cluster.addresses cannot be set together"},
		{[]string{"config.redis.url=unix:///run/redis.sock"}, "write redis:// or rediss://"},

		// Durations, sizes and addresses that the templates work from.
		{[]string{"config.drain.delay=5 seconds"}, `config.drain.delay: "5 seconds" is not a duration such as 25s, 1m30s or 500ms`},
		{[]string{"config.drain.window=20"}, `config.drain.window: "20" is not a duration`},
		{[]string{"config.drain.window=-20s"}, `config.drain.window: "-20s" is not a duration`},
		{[]string{"resources.limits.memory=lots"}, `resources.limits.memory: "lots" is not a quantity such as 512Mi or 2Gi`},
		{[]string{"config.server.address=127.0.0.1:8080"}, `config.server.address: "127.0.0.1:8080" is not an address that a pod can be reached at`},
		{[]string{"config.ops.address=:0"}, `config.ops.address: ":0" has no port from 1 to 65535`},
		{[]string{"config.ops.address=:70000"}, `config.ops.address: ":70000" has no port from 1 to 65535`},
		{[]string{"config.ops.address=:8080"}, "need three ports, not 8080, 8080 and 9091"},

		// The rest.
		{[]string{"tls.existingSecret=a", "config.server.tls.cert=/b", "config.server.tls.key=/c"}, "tls.existingSecret and config.server.tls cannot be set together"},
		{[]string{"stickiness.controller=ingress-nginx"}, "set ingress.enabled=true"},
		{[]string{"httpRoute.enabled=true"}, "set httpRoute.parentRefs[0].name"},
		{[]string{"autoscaling.enabled=true", "redis.existingSecret=r", "autoscaling.minReplicas=11"}, "autoscaling.minReplicas, 11, is above autoscaling.maxReplicas, 10"},
		{[]string{"autoscaling.enabled=true", "redis.existingSecret=r", "autoscaling.cpuUtilization=null"}, "set autoscaling.cpuUtilization or autoscaling.connections"},
		{[]string{"autoscaling.enabled=true", "redis.existingSecret=r", "resources.requests.cpu=null"}, "set resources.requests.cpu"},
		{[]string{"extraEnv[0].name=CARILLON_DRAIN_WINDOW", "extraEnv[0].value=1h"}, "set config.drain.window instead"},
		{[]string{"extraEnv[0].name=CARILLON_REDIS_URL_FILE", "extraEnv[0].value=/x"}, "set config.redis.url or redis.existingSecret instead"},
	} {
		t.Run(strings.Join(c.values, " "), func(t *testing.T) {
			if got := refusal(t, c.values...); !strings.Contains(got, c.want) {
				t.Errorf("helm says\n%s\nwant %q in it", got, c.want)
			}
		})
	}
}

func TestRefuse_OneReplicaWithoutRedisIsFine(t *testing.T) {
	for _, values := range [][]string{{"replicaCount=0"}, {"replicaCount=1"}, {"autoscaling.enabled=true", "autoscaling.minReplicas=1", "autoscaling.maxReplicas=1"}} {
		render(t, values...)
	}
}
