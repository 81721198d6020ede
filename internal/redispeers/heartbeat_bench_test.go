package redispeers

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/test/redistest"
)

// BenchmarkHeartbeats measures what the heartbeats of 1,000 nodes cost Redis, in percent of a core: every node sends one
// every 2 s. With changes, one node in 100 changes its record with each heartbeat, as in the middle of a roll.
func BenchmarkHeartbeats(b *testing.B) {
	const nodes = 1000
	for name, every := range map[string]int{"steady": 0, "changes": 100} {
		b.Run(name, func(b *testing.B) {
			client := redistest.Start(b).Client
			r := register{client: client, keys: nodeKeys{prefix: "carillon"}}
			since := make([]string, nodes)
			beat := func(i, round int) {
				self := Record{ID: fmt.Sprintf("NODE%08d", i), Tags: []string{fmt.Sprintf("%04d", i)}, Version: "1.2.3",
					Address: fmt.Sprintf("http://10.0.%d.%d:9091", i/256, i%256), Probes: []string{"carillon:probe:" + strconv.Itoa(i)}}
				changed := every > 0 && (i+round)%every == 0
				_, news, err := r.beat(b.Context(), self, changed, since[i])
				if err != nil {
					b.Fatal(err)
				}
				since[i] = news[len(news)-1].at
			}
			for round := range 2 { // all have joined, and have read so
				for i := range nodes {
					beat(i, round)
				}
			}
			before := processorTime(b, client)
			b.ResetTimer()
			for n := range b.N {
				beat(n%nodes, n/nodes)
			}
			b.StopTimer()
			each := float64(processorTime(b, client)-before) / float64(b.N)
			b.ReportMetric(each/1e3, "redis-µs/op")
			b.ReportMetric(100*each*nodes/float64(heartbeatInterval), "%core")
		})
	}
}

var processorUse = regexp.MustCompile(`used_cpu_(?:sys|user):([0-9.]+)`)

// processorTime is how long a Redis has computed.
func processorTime(b *testing.B, client *goredis.Client) time.Duration {
	info, err := client.Info(context.Background(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for _, use := range processorUse.FindAllStringSubmatch(info, -1) {
		seconds, _ := strconv.ParseFloat(use[1], 64)
		sum += seconds
	}
	return time.Duration(sum * float64(time.Second))
}
