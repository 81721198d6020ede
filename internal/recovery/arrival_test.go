package recovery_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/recovery/move"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// In a roll some session is always on its way here: what counts for one is what comes while that one is.
func TestArrival_OnlyWhatComesMeanwhileCounts(t *testing.T) {
	_, l := newStore(t, recovery.Config{Bytes: 64 << 10})
	text := []byte(`["` + strings.Repeat("x", 1000) + `"]`)
	arrival := func() *recovery.Arrival {
		a := l.Expect()
		a.Record()
		return a
	}
	judge := func(a *recovery.Arrival, number uint64) error {
		const lane = 1
		opening, closing := move.Fence{Node: "A", Number: number}, move.Fence{Node: "B", Number: number}
		l.Back(opening, lane)
		a.Close(closing)
		l.Back(closing, lane)
		_, err := a.Judge(recovery.Handed{}, move.Bounds{
			Opening: opening, OpeningLanes: []move.Lane{lane}, Closing: closing, ClosingLanes: []move.Lane{lane},
		}, 1000)
		return err
	}
	events := func(n int) {
		for range n {
			l.Publish(recovery.Command{Kind: move.Event, Event: recovery.Event{Args: packet.Args{JSON: text}}})
		}
	}
	a := arrival()
	for n := range uint64(50) {
		events(2)
		next := arrival()
		if err := judge(a, n); err != nil {
			t.Fatalf("after %d sessions: %v", n, err)
		}
		a.End()
		a = next
	}
	events(20)
	if err := judge(a, 100); err == nil {
		t.Error("a session may have more on the tape than its share")
	}
	a.End()
}

func TestReadEvents_CountsWhatEmptyAttachmentsTake(t *testing.T) {
	_, l := newStore(t, recovery.Config{Bytes: 1 << 20})
	offset := publish(l, "m")
	event := func(attachments int) []byte {
		b := append([]byte{1}, offset...)
		b = append(append(b, 2), "[]"...)
		b = binary.AppendUvarint(b, uint64(attachments))
		return append(b, make([]byte, attachments)...)
	}
	for attachments, fits := range map[int]bool{1000: true, 60_000: false} {
		var h recovery.Handed
		err := l.ReadEvents(&h, bufio.NewReader(bytes.NewReader(append(event(attachments), 0))), 1<<20)
		if (err == nil) != fits {
			t.Errorf("%d empty attachments: %v", attachments, err)
		}
	}
}
