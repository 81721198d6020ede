package backend

import (
	"errors"
	"strings"
	"testing"
)

var whole = []string{
	"v", "1", "t", "event", "nsp", "/", "sid", "s", "seq", "7", "node", "n", "ts", "1700000000000", "ev", "order:new",
	"data", `[{"item":"bell","photo":{"_placeholder":true,"num":0}}]`, "b0", "\x00\xff", "h", strings.Repeat("0f", 16), "ack", "token",
	"dl", "1700000001000",
}

// FuzzParseEntry: nothing that stands in a stream makes parseEntry panic, and what it accepts is what it promises.
func FuzzParseEntry(f *testing.F) {
	f.Add(strings.Join(whole, "\x01"))
	f.Add("v\x011\x01t\x01connected\x01sid\x01s\x01seq\x011\x01ts\x011\x01auth\x01{}\x01claims\x01{}")
	f.Add("v\x011\x01t\x01event\x01sid\x01s\x01seq\x01-1\x01ts\x01x\x01ev\x01\x01data\x01[[[[[[\x01ack\x01a")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseEntry(strings.Split(text, "\x01"))
		if e == nil || e.size < len(text)/2 {
			t.Fatal("the entry has no size")
		}
		if err != nil {
			if !errors.Is(err, errMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		if e.Socket == "" || e.Seq < 1 || e.Kind == 0 {
			t.Errorf("accepted: %+v", e)
		}
		if e.Kind == KindEvent {
			e.Args.Len() // walks over all of it
		}
	})
}

// The consumer reads many entries: the entry, its arguments, its list of attachments and one of them are all it allocates.
func TestParseEntry_Alloc(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates by itself")
	}
	n := testing.AllocsPerRun(100, func() {
		if _, err := parseEntry(whole); err != nil {
			t.Fatal(err)
		}
	})
	if n > 4 {
		t.Errorf("%v allocations", n)
	}
}
