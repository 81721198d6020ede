package engine

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDeflate_OffersThatCanBeAnswered(t *testing.T) {
	for offers, want := range map[string]bool{
		"":                   false,
		"permessage-deflate": true,
		"permessage-deflate; client_max_window_bits":                                          true,
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover":          true,
		"permessage-deflate; server_max_window_bits=10":                                       false,
		"permessage-deflate;server_max_window_bits=15":                                        false,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":                   true,
		"permessage-deflate; something_new":                                                   false,
		"x-webkit-deflate-frame":                                                              false,
		"permessage-bzip2, permessage-deflate ; client_max_window_bits = 10":                  true,
		"permessage-deflate-not":                                                              false,
		"permessage-deflate; client_max_window_bits; server_max_window_bits=12, something; x": false,
	} {
		h := http.Header{}
		h.Set("Sec-WebSocket-Extensions", offers)
		if got := offersDeflate(h); got != want {
			t.Errorf("%q: %v, want %v", offers, got, want)
		}
	}
}

// inflated undoes a frame of the server's.
func inflated(t *testing.T, e *encoded) string {
	t.Helper()
	plain, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(e.packet()), strings.NewReader(flushed+ended))))
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestDeflate_FramesOfEachForm(t *testing.T) {
	long := strings.Repeat("compress me ", 200)
	for _, c := range []struct {
		codec codec
		frame string
		first byte
		plain string
	}{
		{codec{revision: 4, deflate: true}, long, 0xc1, "4" + long},
		{codec{revision: 3, deflate: true}, long, 0xc1, "4" + long},
		{codec{revision: 4, deflate: true}, "bin:" + long, 0xc2, long},
		{codec{revision: 3, deflate: true}, "bin:" + long, 0xc2, "\x04" + long},
		{codec{revision: 4, base64: true, deflate: true}, "bin:" + long, 0xc1, "b" + string(toBase64([]byte(long)))},
		{codec{revision: 3, base64: true, deflate: true}, "bin:" + long, 0xc1, "b4" + string(toBase64([]byte(long)))},
	} {
		e := c.codec.frame(frames(c.frame)[0])
		if e.frame[0] != c.first || len(e.frame) > 500 {
			t.Errorf("%+v: first byte %#x, %d bytes", c.codec, e.frame[0], len(e.frame))
		}
		if got := inflated(t, e); got != c.plain {
			t.Errorf("%+v: holds %.40q, want %.40q", c.codec, got, c.plain)
		}
	}
}

func TestDeflate_WhatGainsNothingOrMustNotBeLeavesAsItIs(t *testing.T) {
	noise := make([]byte, 5000)
	random := rand.NewChaCha8([32]byte{})
	_, _ = random.Read(noise) // never fails
	c := codec{revision: 4, deflate: true}
	for _, f := range []*Frame{frames(strings.Repeat("x", 500))[0], NewFrame(noise, true, time.Time{}), framePing,
		frames(strings.Repeat("x", 5000))[0].Uncompressed()} {
		if c.frame(f) != &f.wire {
			t.Errorf("%d bytes were compressed", f.size())
		}
	}
}

func TestDeflate_OnceForAllRecipients(t *testing.T) {
	c := codec{revision: 4, deflate: true}
	f := frames(strings.Repeat("x", 100_000))[0]
	var first *encoded
	var once sync.Once
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			e := c.frame(f)
			once.Do(func() { first = e })
			if e != first {
				t.Error("compressed twice")
			}
		})
	}
	all.Wait()
}

func TestDeflate_FurtherRecipientsAllocateNothing(t *testing.T) {
	c := codec{revision: 4, deflate: true}
	f := frames(strings.Repeat("x", 100_000))[0]
	if n := testing.AllocsPerRun(100, func() { c.frame(f) }); n != 0 { // once before it counts
		t.Errorf("%v allocations for a recipient", n)
	}
}

func TestInflate_IsBounded(t *testing.T) {
	bomb := deflated(&encoded{frame: append([]byte{wsText, 0}, make([]byte, 10<<20)...), header: 2}).packet()
	if len(bomb) > 100_000 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for limit, want := range map[int]error{1000: violatesLimit, 10<<20 - 1: violatesLimit, 10 << 20: nil} {
		out, err := inflate(nil, bomb, limit)
		if !errors.Is(err, want) || len(out) > limit+1 {
			t.Errorf("limit %d: %d bytes, %v", limit, len(out), err)
		}
	}
	for _, broken := range []string{"\xff\xff\xff", "\x07", "\x05\x00\x00"} {
		if _, err := inflate(nil, []byte(broken), 1000); !errors.Is(err, violatesUTF8) {
			t.Errorf("%q: %v", broken, err)
		}
	}
	if out, err := inflate(nil, []byte{0}, 1000); len(out) != 0 || err != nil {
		t.Errorf("nothing became %q, %v", out, err)
	}
}

func FuzzInflate(f *testing.F) {
	f.Add([]byte("\x32\x49\xcd\xc9\xc9\x07\x00"))
	f.Add([]byte("\xff\xff"))
	f.Fuzz(func(t *testing.T, message []byte) {
		const limit = 2000
		out, err := inflate(nil, message, limit)
		if err == nil && len(out) > limit {
			t.Errorf("%d bytes", len(out))
		}
		plain := &encoded{frame: append([]byte{wsText, 0}, out...), header: 2}
		if e := deflated(plain); e != plain {
			again, err := inflate(nil, e.packet(), limit+1)
			if err != nil || string(again) != string(out) {
				t.Errorf("%q became %q, %v", out, again, err)
			}
		}
	})
}
