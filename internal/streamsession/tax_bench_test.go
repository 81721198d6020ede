package streamsession

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/test/redistest"
)

// BenchmarkStore_Redis shows what sessions cost Redis: 1,000 that begin, each in five rooms and with claims of a token, change their
// rooms, are kept for longer, and end.
func BenchmarkStore_Redis(b *testing.B) {
	const sessions = 1000
	list := make([]*held, sessions)
	for i := range list {
		rooms := make([]string, 5)
		for n := range rooms {
			rooms[n] = fmt.Sprintf("room:%d", i+n)
		}
		list[i] = &held{s: adapter.Session{
			ID: fmt.Sprintf("socket%014d", i), PID: fmt.Sprintf("secret%014d", i), Namespace: "/", Begin: "1795980044798-0", At: "1795980044798-0", Rooms: rooms,
			State: []byte(`{"proven":true,"token":"user-1","claims":{"sub":"user-1","tenant":"acme","exp":1795980044}}`),
		}}
	}
	steps := map[string]func(*Store, *held){
		"begin": func(s *Store, h *held) { s.Keep(h.s.ID, h) },
		"rooms": func(s *Store, h *held) { s.Keep(h.s.ID, h) },
		"renew": func(s *Store, h *held) {
			s.mu.Lock()
			s.kept[h.s.ID].written = time.Time{}
			s.mu.Unlock()
		},
		"end": func(s *Store, h *held) { s.Drop(h.s.ID) },
	}
	for _, name := range []string{"begin", "rooms", "renew", "end"} {
		b.Run(name, func(b *testing.B) {
			server := redistest.Start(b)
			metrics, _ := NewMetrics(nil)
			s := New(Config{
				Client: server.NewClient(), Node: "2NODE7ABCDEF", Prefix: DefaultPrefix, Metrics: metrics, Logger: zap.NewNop(),
				Refusals: redisconn.NewRefusals(zap.NewNop(), func(string) {}),
			})
			s.SetWindow(2 * time.Minute)
			do := func(step string) {
				for _, h := range list {
					steps[step](s, h)
				}
				s.work(context.Background())
			}
			var bytes, cpu float64
			for b.Loop() {
				b.StopTimer()
				for _, before := range map[string][]string{"begin": nil, "rooms": {"begin"}, "renew": {"begin"}, "end": {"begin"}}[name] {
					do(before)
				}
				before := infoOf(server)
				b.StartTimer()
				do(name)
				b.StopTimer()
				after := infoOf(server)
				bytes, cpu = bytes+after.bytes-before.bytes, cpu+after.cpu-before.cpu
				if name != "end" {
					do("end")
				}
				b.StartTimer()
			}
			n := float64(b.N) * sessions
			b.ReportMetric(bytes/n, "bytes/session")
			b.ReportMetric(1e6*cpu/n, "redis-µs/session")
		})
	}
}

type info struct{ bytes, cpu float64 }

// infoOf is how many bytes a server has received, and how long it has computed, in seconds.
func infoOf(server *redistest.Server) (i info) {
	for line := range strings.Lines(server.Do("INFO", "everything").(string)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		number, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "total_net_input_bytes":
			i.bytes = number
		case "used_cpu_sys", "used_cpu_user":
			i.cpu += number
		}
	}
	return i
}
