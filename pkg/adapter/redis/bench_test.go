package redis_test

import (
	"strings"
	"sync/atomic"
	"testing"

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
