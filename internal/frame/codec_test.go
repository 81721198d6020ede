package frame

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/wsframe"
)

func frames(packets ...string) []*Frame {
	var batch []*Frame
	for _, p := range packets {
		if data, ok := strings.CutPrefix(p, "bin:"); ok {
			batch = append(batch, NewMessage([]byte(data), true, time.Time{}))
		} else {
			batch = append(batch, NewMessage([]byte(p), false, time.Time{}))
		}
	}
	return batch
}

func encodeAll(c Codec, batch []*Frame) string {
	var b bytes.Buffer
	c.Encode(batch, func(p []byte) { b.Write(p) })
	return b.String()
}

func TestCodec_EncodesPayloadsAsTheReference(t *testing.T) {
	unhex := func(s string) string { b, _ := hex.DecodeString(s); return string(b) }
	for _, c := range []struct {
		name  string
		codec Codec
		batch []string
		want  string
	}{
		{
			"revision 4", Codec{Revision: 4},
			[]string{`0{"sid":"g8sfRmr-GvSMoHhVAAAC"}`, `51-["echo",{"_placeholder":true,"num":0}]`, "bin:\x01\x02\x03\x04", `2["echo","€"]`},
			"40{\"sid\":\"g8sfRmr-GvSMoHhVAAAC\"}\x1e451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA==\x1e42[\"echo\",\"€\"]",
		},
		{
			"revision 3 counts UTF-16 units", Codec{Revision: 3},
			[]string{`2["echo","€😀"]`},
			unhex("31363a34325b226563686f222c22e282acf09f9880225d"),
		},
		{
			"revision 3, several", Codec{Revision: 3},
			[]string{`2["echo",1]`, `2["echo",1]`},
			`12:42["echo",1]12:42["echo",1]`,
		},
		{
			"revision 3, one binary packet switches all", Codec{Revision: 3},
			[]string{`51-["echo",{"_placeholder":true,"num":0}]`, "bin:\x01\x02\x03\x04"},
			unhex("000402ff3435312d5b226563686f222c7b225f706c616365686f6c646572223a747275652c226e756d223a307d5d0105ff0401020304"),
		},
		{
			"revision 3, octets count bytes", Codec{Revision: 3},
			[]string{`52-["echo","€",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "bin:\x01\x02\x03\x04", "bin:\x05\x06\x07\x08"},
			unhex("000708ff3435322d5b226563686f222c22e282ac222c7b225f706c616365686f6c646572223a747275652c226e756d223a307d2c7b225f706c616365686f6c646572223a747275652c226e756d223a317d5d0105ff04010203040105ff0405060708"),
		},
		{
			"revision 3 without binary", Codec{Revision: 3, Base64: true},
			[]string{`51-["echo",{"_placeholder":true,"num":0}]`, "bin:\x01\x02\x03\x04"},
			`42:451-["echo",{"_placeholder":true,"num":0}]10:b4AQIDBA==`,
		},
	} {
		if got := encodeAll(c.codec, frames(c.batch...)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestCodec_WebSocketFrames(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	for _, c := range []struct {
		codec Codec
		frame string
		want  string
	}{
		{Codec{Revision: 4}, "hello", "\x81\x064hello"},
		{Codec{Revision: 4}, "bin:\x01\x02", "\x82\x02\x01\x02"},
		{Codec{Revision: 4, Base64: true}, "bin:\x01\x02\x03\x04", "\x81\x09bAQIDBA=="},
		{Codec{Revision: 3}, "bin:\x01\x02", "\x82\x03\x04\x01\x02"},
		{Codec{Revision: 3, Base64: true}, "bin:\x01\x02\x03\x04", "\x81\x0ab4AQIDBA=="},
		{Codec{Revision: 4}, long[:125], "\x81\x7e\x00\x7e4" + long[:125]},
		{Codec{Revision: 4}, long, "\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x714" + long},
	} {
		if got := string(c.codec.Wire(frames(c.frame)[0])); got != c.want {
			t.Errorf("%+v %.20q: got %.40q, want %.40q", c.codec, c.frame, got, c.want)
		}
	}
}

// inflated undoes a frame of the server's.
func inflated(t *testing.T, e *encoded) string {
	t.Helper()
	plain, err := wsframe.Inflate(nil, e.packet(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestDeflate_FramesOfEachForm(t *testing.T) {
	long := strings.Repeat("compress me ", 200)
	for _, c := range []struct {
		codec Codec
		frame string
		first byte
		plain string
	}{
		{Codec{Revision: 4, Deflate: true}, long, 0xc1, "4" + long},
		{Codec{Revision: 3, Deflate: true}, long, 0xc1, "4" + long},
		{Codec{Revision: 4, Deflate: true}, "bin:" + long, 0xc2, long},
		{Codec{Revision: 3, Deflate: true}, "bin:" + long, 0xc2, "\x04" + long},
		{Codec{Revision: 4, Base64: true, Deflate: true}, "bin:" + long, 0xc1, "b" + base64.StdEncoding.EncodeToString([]byte(long))},
		{Codec{Revision: 3, Base64: true, Deflate: true}, "bin:" + long, 0xc1, "b4" + base64.StdEncoding.EncodeToString([]byte(long))},
	} {
		e := c.codec.encoded(frames(c.frame)[0])
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
	c := Codec{Revision: 4, Deflate: true}
	for _, f := range []*Frame{frames(strings.Repeat("x", 500))[0], NewMessage(noise, true, time.Time{}), Ping,
		frames(strings.Repeat("x", 5000))[0].Uncompressed()} {
		if c.encoded(f) != &f.wire {
			t.Errorf("%d bytes were compressed", len(f.wire.frame))
		}
	}
}

func TestDeflate_OnceForAllRecipients(t *testing.T) {
	c := Codec{Revision: 4, Deflate: true}
	f := frames(strings.Repeat("x", 100_000))[0]
	var first *encoded
	var once sync.Once
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			e := c.encoded(f)
			once.Do(func() { first = e })
			if e != first {
				t.Error("compressed twice")
			}
		})
	}
	all.Wait()
}

func TestDeflate_FurtherRecipientsAllocateNothing(t *testing.T) {
	c := Codec{Revision: 4, Deflate: true}
	f := frames(strings.Repeat("x", 100_000))[0]
	if n := testing.AllocsPerRun(100, func() { c.encoded(f) }); n != 0 { // once before it counts
		t.Errorf("%v allocations for a recipient", n)
	}
}
