package redisstream_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestReader_EveryHoleIsCounted: whatever made entries go that were not read yet, by any client of Redis, and however short or long
// this node would keep the stream.
func TestReader_EveryHoleIsCounted(t *testing.T) {
	t.Parallel()
	const future = "9999999999999-0"
	add := func(t *testing.T, s *server, n int, trim ...any) {
		for i := range n {
			do(t, s, slices.Concat([]any{"XADD", name}, trim, []any{"*", "text", i})...)
		}
	}
	cases := map[string]struct {
		begin string // the id of the entry that is read before; empty: Redis gives one
		lose  func(t *testing.T, s *server)
	}{
		"XADD of another server that keeps less": {"", func(t *testing.T, s *server) { add(t, s, 50, "MAXLEN", 5) }},
		"XADD of another server with ~":          {"", func(t *testing.T, s *server) { add(t, s, 400, "MAXLEN", "~", 5) }},
		"XTRIM": {"", func(t *testing.T, s *server) {
			add(t, s, 50)
			do(t, s, "XTRIM", name, "MAXLEN", 3)
		}},
		"XTRIM to nothing": {"", func(t *testing.T, s *server) {
			add(t, s, 50)
			do(t, s, "XTRIM", name, "MAXLEN", 0)
		}},
		"DEL": {"", func(t *testing.T, s *server) {
			add(t, s, 50)
			do(t, s, "DEL", name)
		}},
		"DEL, and appended anew": {"", func(t *testing.T, s *server) {
			add(t, s, 50)
			do(t, s, "DEL", name)
			add(t, s, 50)
		}},
		"FLUSHALL": {"", func(t *testing.T, s *server) {
			add(t, s, 50)
			do(t, s, "FLUSHALL")
			add(t, s, 1)
		}},
		"smaller ids": {future, func(t *testing.T, s *server) {
			do(t, s, "DEL", name)
			add(t, s, 5)
		}},
		"smaller ids, and then larger ones": {future, func(t *testing.T, s *server) {
			do(t, s, "DEL", name)
			add(t, s, 5)
			do(t, s, "XADD", name, "9999999999999-7", "text", "later")
		}},
		"a replica that lacks the end": {"", func(t *testing.T, s *server) {
			first := s.XRange(t.Context(), name, "-", "+").Val()
			do(t, s, "XDEL", name, first[len(first)-1].ID)
			dump := s.Dump(t.Context(), name).Val()
			add(t, s, 5)
			do(t, s, "RESTORE", name, 0, dump, "REPLACE")
			add(t, s, 5)
		}},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			id := c.begin
			if id == "" {
				id = "*"
			}
			w, free := startStuck(t, server, id)
			c.lose(t, server)
			free()
			eventually(t, "counted", func() bool { return testutil.ToFloat64(w.metrics.Trimmed) == 1 && w.missed.Load() == 1 })
			w.append(1)()
			eventually(t, "what follows came", func() bool { return slices.Contains(w.received(), "0") })
			reads := readings(t, server)
			eventually(t, "it has looked again", func() bool { return readings(t, server) > reads+1 })
			if n := testutil.ToFloat64(w.metrics.Trimmed); n != 1 {
				t.Errorf("%v holes", n)
			}
		})
	}
}

// startStuck starts a stream, appends an entry with this id, and returns while the reader is stuck in receiving it, until free is
// called.
func startStuck(t *testing.T, server *server, id string) (w *world, free func()) {
	t.Helper()
	stuck, freed := make(chan struct{}), make(chan struct{})
	w = start(t, *server.Options(), wide, func(text string) {
		if text == "first" {
			close(stuck)
			<-freed
		}
	})
	do(t, server, "XADD", name, id, "text", "first")
	<-stuck
	return w, func() { close(freed) }
}

// readings is how many XREADs the server has carried out.
func readings(t *testing.T, s *server) int {
	t.Helper()
	return calls(t, s, "xread")
}

func calls(t *testing.T, s *server, command string) int {
	t.Helper()
	return callsIn(s.Info(t.Context(), "commandstats").Val(), command)
}

func callsIn(commandstats, command string) int {
	_, rest, _ := strings.Cut(commandstats, "cmdstat_"+command+":calls=")
	number, _, _ := strings.Cut(rest, ",")
	n, _ := strconv.Atoi(number)
	return n
}

// TestReader_AShortStreamThatIsReadInTimeHasNoHole, although each entry is trimmed soon after it was read, by servers that keep more
// and by servers that keep less than this node would.
func TestReader_AShortStreamThatIsReadInTimeHasNoHole(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), bounds{length: 10, age: time.Minute}, nil)
	for i := range 300 {
		do(t, server, "XADD", name, "MAXLEN", 5+i%20, "*", "text", i)
		eventually(t, "it came", func() bool { return len(w.received()) == i+1 })
	}
	if n := testutil.ToFloat64(w.metrics.Trimmed); n != 0 {
		t.Errorf("%v holes", n)
	}
}

// TestReader_ALargeEntryIsNotReadAgain while the stream rests: only its id is.
func TestReader_ALargeEntryIsNotReadAgain(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), wide, nil)
	const size = 1 << 20
	do(t, server, "XADD", name, "*", "text", strings.Repeat("x", size))
	eventually(t, "it came", func() bool { return len(w.received()) == 1 })
	sent := func() (n int) {
		_, rest, _ := strings.Cut(server.Info(t.Context(), "stats").Val(), "total_net_output_bytes:")
		n, _ = strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
		return n
	}
	before, reads, polled := sent(), readings(t, server), 0
	eventually(t, "it has looked again", func() bool {
		stats := server.Info(t.Context(), "commandstats").Val()
		polled += len(stats)
		return callsIn(stats, "xread") >= reads+2
	})
	if n := sent() - before - polled; n > size/2 {
		t.Errorf("%d bytes for an entry of %d that was there already", n, size)
	}
	do(t, server, "DEL", name)
	eventually(t, "its end is noticed", func() bool { return testutil.ToFloat64(w.metrics.Trimmed) == 1 })
}

// TestReader_LagTellsWhatKeepsIt: it grows while a reader is stuck, and while it has no connection.
func TestReader_LagTellsWhatKeepsIt(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w, free := startStuck(t, server, "*")
	eventually(t, "it lags", func() bool { return w.Lag() > 1500*time.Millisecond })
	free()
	eventually(t, "it has caught up", func() bool { return w.Lag() < time.Second })
}

// TestBegun_OneEntryThatNoReaderIsHanded: an empty stream is given one, a stream that has some is not.
func TestBegun_OneEntryThatNoReaderIsHanded(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	w := start(t, *server.Options(), wide, nil)
	if n := begunWith(t, server); n < 1 || n > 2 { // the reader and the writer may find it empty at the same time
		t.Fatalf("%d entries to begin with", n)
	}
	w.stop()
	before := server.XLen(t.Context(), name).Val()
	again := start(t, *server.Options(), wide, nil)
	again.append(3)()
	eventually(t, "all came", func() bool { return fmt.Sprint(again.received()) == fmt.Sprint(numbers(3)) })
	if n := server.XLen(t.Context(), name).Val(); n != before+3 {
		t.Errorf("%d entries, %d before", n, before)
	}
}
