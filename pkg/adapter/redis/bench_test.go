package redis_test

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// BenchmarkCluster sends broadcasts of 150 bytes from one node to another over a real Redis.
func BenchmarkCluster(b *testing.B) {
	s := startServer(b)
	sender := readyNode(b, s, redis.Config{})
	receiver := readyNode(b, s, redis.Config{})
	receiver.join("red")
	c := broadcast(`["message",{"id":12345,"from":"ada","text":"`+strings.Repeat("x", 60)+`"}]`, "red")
	// As many as the queue takes with ease.
	window := make(chan struct{}, 5000)
	var failed atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		window <- struct{}{}
		sender.Publish(c, func(err error) {
			if err != nil {
				failed.Add(1)
			}
			<-window
		})
	}
	eventually(b, "all received", func() bool {
		receiver.mu.Lock()
		defer receiver.mu.Unlock()
		return len(receiver.commands)+int(failed.Load()) >= b.N
	})
	if failed.Load() > 0 {
		b.Errorf("%d publishes failed", failed.Load())
	}
}

// BenchmarkLatency sends 2,000 broadcasts a second from one node to another over a real Redis, and tells how long they took
// from Publish to Deliver.
func BenchmarkLatency(b *testing.B) {
	s := startServer(b)
	sender, receiver := readyNode(b, s, redis.Config{}), readyNode(b, s, redis.Config{})
	receiver.join("red")
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for i := range b.N {
		if i%10 == 0 {
			<-ticker.C
		}
		sender.Publish(broadcast(`["at",`+strconv.FormatInt(time.Now().UnixNano(), 10)+`]`, "red"), nil)
	}
	eventually(b, "all received", func() bool { return len(receiver.delivered()) == b.N })
	took := make([]time.Duration, b.N)
	for i, c := range receiver.delivered() {
		broadcast := c.(adapter.Broadcast)
		sent, err := strconv.ParseInt(strings.Trim(string(broadcast.Args.JSON), `["at,]`), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		took[i] = broadcast.Received.Sub(time.Unix(0, sent))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds()), "p99-µs")
}
