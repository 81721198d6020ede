package wsconn

import "testing"

// Every sequence of events up to a length: what holds for a connection, however it came to its state.
func TestReadState_HoldsInEverySequenceOfEvents(t *testing.T) {
	type history struct {
		readers int  // that exist
		ended   bool // an end or a cut was seen
		cut     bool
	}
	var walk func(s readState, h history, depth int)
	walk = func(s readState, h history, depth int) {
		switch {
		case h.readers != 0 && h.readers != 1:
			t.Fatalf("state %d has %d readers", s, h.readers)
		case s == readParked && h.readers != 0, (s == readWaiting || s == readBusy || s == readLingering) && h.readers != 1:
			t.Fatalf("state %d has %d readers", s, h.readers)
		case h.ended && s != readLingering && s != readGone:
			t.Fatalf("state %d reads on after the end", s)
		case h.cut != (s == readGone):
			t.Fatalf("state %d, cut: %v", s, h.cut)
		}
		if depth == 0 {
			return
		}
		for e := range readEvent(readEvents) {
			next, ok := s.on(e)
			if !ok && next != s {
				t.Fatalf("event %d, which means nothing in state %d, leads to %d", e, s, next)
			}
			if !ok {
				continue
			}
			after := h
			switch {
			case e == readPark:
				after.readers--
			case s == readParked: // the event that ends this state starts a reader
				after.readers++
			}
			after.ended = h.ended || e == readEnd || e == readCut
			after.cut = h.cut || e == readCut
			walk(next, after, depth-1)
		}
	}
	walk(readWaiting, history{readers: 1}, 8)
}

func TestReadState_EndAndCutAreNeverRefused(t *testing.T) {
	for s := readWaiting; s < readGone; s++ {
		if next, ok := s.on(readCut); !ok || next != readGone {
			t.Errorf("state %d is not cut", s)
		}
		if next, _ := s.on(readEnd); next != readLingering {
			t.Errorf("state %d goes to %d at the end", s, next)
		}
	}
	for e := range readEvent(readEvents) {
		if _, ok := readGone.on(e); ok {
			t.Errorf("event %d brings back a connection that was cut", e)
		}
	}
}

func TestWriteState_OneCloseFrameAndNothingBehindIt(t *testing.T) {
	var walk func(s writeState, closes int, depth int)
	walk = func(s writeState, closes int, depth int) {
		if closes > 1 || (closes == 1) != (s == writeClosed) {
			t.Fatalf("state %d after %d Close frames", s, closes)
		}
		if depth == 0 {
			return
		}
		for e := range writeEvent(writeEvents) {
			next, ok := s.on(e)
			if !ok {
				continue
			}
			if next <= s {
				t.Fatalf("event %d leads from state %d back to %d", e, s, next)
			}
			if e == writeCloseFrame {
				closes++
			}
			walk(next, closes, depth-1)
			if e == writeCloseFrame {
				closes--
			}
		}
	}
	walk(writeOpen, 0, 5)
}
