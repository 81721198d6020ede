package recovery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// TestBans_BehindWhichAClientReturns: those since the rooms of the session were stored, up to where the stream is read from.
func TestBans_BehindWhichAClientReturns(t *testing.T) {
	const minute = 60_000
	bans := map[string]rooms.Target{
		"before": {Rooms: []string{"red"}}, "too long ago": {Rooms: []string{"green"}}, "later": {Rooms: []string{"blue"}},
		"except": {Except: []string{"grey"}},
	}
	at := map[string]int{"before": 10 * minute, "too long ago": 11 * minute, "later": 20 * minute, "except": 21 * minute}
	for _, c := range []struct {
		name   string
		rooms  []string
		stored int
		named  int
		want   bool
	}{
		{"matched", []string{"blue", "grey"}, 19 * minute, 22 * minute, true},
		{"stored since", []string{"blue", "grey"}, 20*minute + 1, 22 * minute, false},
		{"in other rooms", []string{"red", "grey"}, 19 * minute, 22 * minute, false},
		{"long ago", []string{"green", "grey"}, 10*minute + 1, 22 * minute, false},
		{"by what it is not in", nil, 20*minute + 1, 22 * minute, true},
		{"behind where the stream is read from", []string{"blue", "grey"}, 18 * minute, 19 * minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := streamLog(t)
			for _, name := range []string{"before", "too long ago", "later", "except"} {
				log.Ban(fmt.Sprintf("%d-0", at[name]), bans[name])
			}
			if got := kickedAfter(t, log, append([]string{"sid"}, c.rooms...), fmt.Sprintf("%d-0", c.stored), fmt.Sprintf("%d-0", c.named)); got != c.want {
				t.Errorf("kicked: %v", got)
			}
		})
	}
}

// TestBans_AreBounded: the oldest go.
func TestBans_AreBounded(t *testing.T) {
	log := streamLog(t)
	log.Ban("1000-0", rooms.Target{Rooms: []string{"first"}})
	for i := range 100 {
		log.Ban(fmt.Sprintf("1000-%d", i+1), rooms.Target{Rooms: []string{"last", strings.Repeat("x", 10_000)}})
	}
	if kickedAfter(t, log, []string{"first"}, "1-0", "2000-0") {
		t.Error("all are remembered")
	}
	if !kickedAfter(t, log, []string{"last"}, "1-0", "2000-0") {
		t.Error("none is remembered")
	}
}

func streamLog(t *testing.T) *recovery.Log {
	t.Helper()
	store, err := recovery.New(recovery.Config{Window: 2 * time.Minute, Bytes: 1 << 20, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store.Log("/")
}

// kickedAfter reports whether a session is over that is in rooms, as stored at an entry, and whose client names a later one.
func kickedAfter(t *testing.T, log *recovery.Log, names []string, stored, offset string) bool {
	t.Helper()
	r := log.Returning(names, "sid", offset, stored, 100)
	r.Banned(offset)
	log.Begin()
	rec := log.Record(offset)
	defer rec.End()
	session := log.Open("pid of "+names[0], "sid", "address")
	kicked, err := r.Arrive(session, rec, newLine(), 0, func([]string) bool { return true })
	log.End()
	if err != nil {
		t.Fatal(err)
	}
	session.End()
	return kicked
}
