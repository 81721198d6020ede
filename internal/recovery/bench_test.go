package recovery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
)

// BenchmarkReplay is 20,000 clients that come back at once to a log of 60 MiB, of which each has missed five events: what it
// takes depends on those, and not on the log.
func BenchmarkReplay(b *testing.B) {
	const clients, size = 20_000, 60 << 20
	for b.Loop() {
		store, err := recovery.New(recovery.Config{Window: time.Hour, Lag: time.Hour, Bytes: 1 << 30})
		if err != nil {
			b.Fatal(err)
		}
		l := store.Log("/")
		room := func(i int) string { return fmt.Sprint("room ", i) }
		lines := make([]*line, clients)
		for i := range lines {
			lines[i] = newLine(room(i/100), room(clients+i))
			began(l, fmt.Sprint("own", i), lines[i]).Lose(lines[i], lines[i])
		}
		absent := store.Held()
		fill := strings.Repeat("x", 200)
		for n := 0; store.Held()-absent < size; n++ {
			publish(l, fill, room(1_000_000+n%50_000)) // for others
			if n < 3*clients/100 {
				publish(l, "m", room(n%(clients/100)))
			}
		}
		publish(l, "m")
		publish(l, "m")
		start := time.Now()
		events := 0
		for i := range lines {
			c := newLine(lines[i].rooms...)
			if got := claim(l, fmt.Sprint("own", i), "", c); got != "recovered" {
				b.Fatal(got)
			}
			events += len(c.got)
		}
		took := time.Since(start)
		if events != 5*clients {
			b.Fatalf("%d events", events)
		}
		b.ReportMetric(float64(took.Microseconds())/clients, "µs/client")
		store.Close()
	}
}
