package msgjson_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
)

// An event of 145 bytes of JSON, as applications send them, and one thirty times as long.
const small = `["message",{"room":"lobby","from":"user-12345","text":"Hello, how are you doing today? Fine",` +
	`"ts":1700000000123,` +
	`"ok":true,"score":12.5,"tags":["a","b"]}]`

func large() string { return "[" + strings.Repeat(small+",", 29) + small + "]" }

func pack(tb testing.TB, text string) []byte {
	tb.Helper()
	packed, err := msgjson.AppendMsgpack(nil, []byte(text), nil, msgjson.DefaultDepth)
	if err != nil {
		tb.Fatal(err)
	}
	return packed
}

func BenchmarkAppendJSON(b *testing.B) {
	for _, text := range []string{small, large(), `["é` + strings.Repeat("日本語", 30) + `"]`} {
		b.Run(fmt.Sprint(len(text)), func(b *testing.B) {
			src := pack(b, text)
			var dst []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var err error
				if dst, _, err = msgjson.AppendJSON(dst[:0], nil, src, msgjson.DefaultDepth); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendMsgpack(b *testing.B) {
	for _, text := range []string{small, large(), `["é` + strings.Repeat("日本語", 30) + `"]`} {
		b.Run(fmt.Sprint(len(text)), func(b *testing.B) {
			src := []byte(text)
			var dst []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var err error
				if dst, err = msgjson.AppendMsgpack(dst[:0], src, nil, msgjson.DefaultDepth); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestTranscoding_AllocatesNothing(t *testing.T) {
	const text = `["€ \n",12.25,0.000000001234567,-7,18446744073709551616,{"a":{"_placeholder":true,"num":0}},` +
		`[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]]`
	attachment := [][]byte{{1, 2, 3}}
	packed := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		var err error
		if packed, err = msgjson.AppendMsgpack(packed[:0], []byte(text), attachment,
			msgjson.DefaultDepth); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("JSON to MessagePack allocates %v times", n)
	}
	out, attachments := make([]byte, 0, 1024), make([][]byte, 0, 1)
	if n := testing.AllocsPerRun(100, func() {
		var err error
		if out, attachments, err = msgjson.AppendJSON(out[:0], attachments[:0], packed,
			msgjson.DefaultDepth); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("MessagePack to JSON allocates %v times", n)
	}
}
