package recovery_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/recovery"
)

// changes has a session join rooms and leave them again.
func changes(l *recovery.Log, s *recovery.Session, count int) {
	for i := range count {
		l.Freeze()
		s.Changed(fmt.Sprintf("%d %s", i, strings.Repeat("r", 200)), i%2 == 1)
		l.Thaw()
	}
}

func TestJournal_ClientsThatJoinAndLeaveAllTheTimeCostNoOtherItsSession(t *testing.T) {
	for name, address := range map[string]func(i int) string{
		"one address":       func(int) string { return "busy" },
		"many of their own": func(i int) string { return fmt.Sprintf("busy %d", i) },
	} {
		t.Run(name, func(t *testing.T) {
			store, l := newStore(t, recovery.Config{Bytes: 1 << 20})
			victim := newLine("a")
			s := began(l, "victim", victim)
			if !s.Lose(victim, victim) {
				t.Fatal("the session is not kept")
			}
			publish(l, "missed", "a")
			var busy []*recovery.Session
			for i := range 100 {
				b := l.Open(fmt.Sprintf("busy %d", i), fmt.Sprintf("id %d", i), address(i))
				l.Begin()
				b.Start(newLine())
				l.End()
				changes(l, b, 200)
				busy = append(busy, b)
				l.Begin() // what is too much goes at the end of a turn
				l.End()
			}
			if held := store.Held(); held > 1<<20 {
				t.Errorf("%d bytes held", held)
			}
			if got := claim(l, "victim", "", victim); got != "recovered" {
				t.Errorf("the other client's session is %s", got)
			}
			for _, b := range busy {
				b.End()
			}
			s.End()
			if held := store.Held(); held > 1000 { // the event
				t.Errorf("%d bytes are left", held)
			}
		})
	}
}
