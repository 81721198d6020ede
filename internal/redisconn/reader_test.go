package redisconn_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
)

const buffer = 64

func reader(text string) *redisconn.Reader {
	r := redisconn.NewReader(iotest.OneByteReader(strings.NewReader(text)), buffer)
	r.MaxPayload = 10
	return r
}

func bulk(words ...string) string {
	var b []byte
	for i, word := range words {
		if i == 0 {
			b = redisconn.AppendCommand(b, word, len(words))
		} else {
			b = redisconn.AppendWord(b, word)
		}
	}
	return string(b)
}

func TestPush_ReadsWhatASubscriptionReceives(t *testing.T) {
	long := strings.Repeat("n", 1000) // longer than the buffer
	for text, want := range map[string]redisconn.Push{
		bulk("message", "c", "payload"): {Kind: redisconn.Message, Channel: []byte("c"), Payload: []byte("payload"), Size: 7},
		bulk("smessage", "c", ""):       {Kind: redisconn.ShardMessage, Channel: []byte("c")},
		bulk("pmessage", "p*", long, "x"): {
			Kind: redisconn.PatternMessage, Pattern: []byte("p*"), Channel: []byte(long), Payload: []byte("x"), Size: 1,
		},
		bulk("message", "c", "longer than ten"):            {Kind: redisconn.Message, Channel: []byte("c"), Size: 15},
		bulk("message", strings.Repeat("n", 100_000), "x"): {Kind: redisconn.Message, Payload: []byte("x"), Size: 1},
		"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n":       {Kind: redisconn.Subscribed, Channel: []byte("c")},
		"*3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n":   {Kind: redisconn.ShardUnsubscribed, Channel: []byte("c")},
		"*3\r\n$12\r\npunsubscribe\r\n$-1\r\n:0\r\n":       {Kind: redisconn.PatternUnsubscribed},
		"-NOPERM no\r\n": {Kind: redisconn.Failed, Err: redisconn.Error("NOPERM no")},
		"+PONG\r\n":      {},
		bulk("pong", ""): {},
		"*4\r\n$3\r\nnew\r\n*2\r\n:1\r\n*-1\r\n:3\r\n+x\r\n": {},
	} {
		behind := bulk("message", "next", "x")
		whole := redisconn.NewReader(strings.NewReader(text+behind), 1<<12)
		whole.MaxPayload = 10
		for _, r := range []*redisconn.Reader{reader(text + behind), whole} {
			got, err := r.Push()
			if err != nil || got.Kind != want.Kind || !bytes.Equal(got.Channel, want.Channel) || got.Size != want.Size ||
				!bytes.Equal(got.Pattern, want.Pattern) || !bytes.Equal(got.Payload, want.Payload) || !errors.Is(got.Err, want.Err) {
				t.Errorf("%.60q: %+v, %v", text, got, err)
			}
			if next, err := r.Push(); err != nil || string(next.Channel) != "next" {
				t.Errorf("%.60q: behind it %+v, %v", text, next, err)
			}
		}
	}
}

func TestReader_WhatIsNotRESPIsAnError(t *testing.T) {
	for _, text := range []string{
		"", "x", "\n", "\r\n", "?1\r\n", ":\r\n", ":1x\r\n", "*3\r\n$7\r\nmessage\r\n$1\r\ncc\r\n", "$1\n", "*9999999999\r\n",
		"$999999999999\r\n", ":1234567890123456789\r\n", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nab", strings.Repeat("*2\r\n", 100),
		"-" + strings.Repeat("x", 100) + "\r\n", ":--1\r\n",
	} {
		if p, err := reader(text).Push(); err == nil {
			t.Errorf("%.40q: %+v", text, p)
		}
		if n, err := reader(text).Result(); err == nil && strings.TrimSpace(text) != "" {
			t.Errorf("%.40q: %d", text, n)
		}
	}
}

func TestResult_ReadsOneReply(t *testing.T) {
	for text, want := range map[string]int64{
		":12\r\n": 12, ":-3\r\n": -3, "+OK\r\n": 0, "$3\r\nabc\r\n": 0, "$-1\r\n": 0, "*2\r\n:1\r\n$1\r\nx\r\n": 0,
	} {
		r := reader(text + ":7\r\n")
		if got, err := r.Result(); got != want || err != nil {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if got, err := r.Result(); got != 7 || err != nil {
			t.Errorf("%q: behind it %d, %v", text, got, err)
		}
	}
	_, err := reader("-BUSY script\r\n").Result()
	if !redisconn.IsReply(err) || !redisconn.NotNow(err) {
		t.Errorf("error reply: %v", err)
	}
	if _, err := reader("").Result(); redisconn.IsReply(err) || !errors.Is(err, io.EOF) {
		t.Errorf("end: %v", err)
	}
}

func TestFirst_IsTheTextThatAReplyBeginsWith(t *testing.T) {
	for text, want := range map[string]string{
		"*3\r\n$6\r\nmaster\r\n:5\r\n*1\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n": "master",
		"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n":           "slave",
		"+OK\r\n": "OK", ":1\r\n": "", "*0\r\n": "", "*-1\r\n": "", "*2\r\n*2\r\n+in\r\n:1\r\n:2\r\n": "",
	} {
		r := reader(text + ":7\r\n")
		if got, err := r.First(); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		if got, err := r.Result(); got != 7 || err != nil {
			t.Errorf("%q: behind it %d, %v", text, got, err)
		}
	}
}

// FuzzPush_ReadsTheSameInOneAndInPieces: what is in the buffer whole is read in another way than what comes bit by bit.
func FuzzPush_ReadsTheSameInOneAndInPieces(f *testing.F) {
	f.Add([]byte(bulk("message", "c", "p") + bulk("pmessage", "p*", "c", "") + bulk("smessage", "", "x") + "-ERR x\r\n"))
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$01\r\nc\r\n$12345678\r\nab\r\n"))
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\ncc\r\n$1\r\nx\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := redisconn.NewReader(bytes.NewReader(data), 1<<12)
		pieces := redisconn.NewReader(iotest.OneByteReader(bytes.NewReader(data)), 1<<12)
		whole.MaxPayload, pieces.MaxPayload = 100, 100
		for {
			a, errA := whole.Push()
			b, errB := pieces.Push()
			a.At, b.At, a.Shared = time.Time{}, time.Time{}, false
			if fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) || (errA == nil) != (errB == nil) {
				t.Fatalf("%+v, %v\n%+v, %v", a, errA, b, errB)
			}
			if errA != nil {
				return
			}
		}
	})
}

// loop is a connection on which the same bytes come again and again.
type loop struct {
	text []byte
	at   int
}

func (l *loop) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		copied := copy(b[n:], l.text[l.at:])
		l.at = (l.at + copied) % len(l.text)
		n += copied
	}
	return len(b), nil
}

func BenchmarkPush(b *testing.B) {
	r := redisconn.NewReader(&loop{text: []byte(bulk("message", "socket.io#/#red#", strings.Repeat("x", 150)))}, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Push(); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzReader: whatever comes, the reader ends, within memory that follows from what came.
func FuzzReader(f *testing.F) {
	f.Add([]byte(bulk("message", "c", "p") + "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n-ERR x\r\n"))
	f.Add([]byte(bulk("pmessage", "p*", "channel", "payload") + "+PONG\r\n$-1\r\n*-1\r\n"))
	f.Add([]byte("*1048576\r\n*1048576\r\n*1048576\r\n"))
	f.Add([]byte("*2\r\n*2\r\n+in\r\n:1\r\n:2\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, read := range map[string]func(*redisconn.Reader) (int, error){
			"push": func(r *redisconn.Reader) (int, error) {
				p, err := r.Push()
				return len(p.Channel) + len(p.Pattern) + len(p.Payload), err
			},
			"result": func(r *redisconn.Reader) (int, error) { _, err := r.Result(); return 0, unlessReply(err) },
			"first":  func(r *redisconn.Reader) (int, error) { s, err := r.First(); return len(s), unlessReply(err) },
		} {
			r := redisconn.NewReader(bytes.NewReader(data), buffer)
			r.MaxPayload = 1 << 10
			total := 0
			for {
				n, err := read(r)
				if err != nil {
					break
				}
				total += n
			}
			if total > len(data) {
				t.Errorf("%s: read %d bytes out of %d", name, total, len(data))
			}
		}
	})
}

func unlessReply(err error) error {
	if redisconn.IsReply(err) {
		return nil
	}
	return err
}
