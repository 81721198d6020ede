package packet_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// decoded returns the data of an event, as the decoder hands it on.
func decoded(t testing.TB, text string) string {
	t.Helper()
	d := packet.Decoder{MaxDepth: 1000}
	p, _, err := d.Text([]byte("2" + text))
	if err != nil {
		t.Fatalf("%.100s: %v", text, err)
	}
	return string(p.Data)
}

// The values on the right are those of JSON.stringify(JSON.parse(text)), where that changes more than spelling.
func TestDecoder_HandsOnWhatEveryReaderTakesAlike(t *testing.T) {
	huge := strings.Repeat("9", 309)
	for _, c := range []struct{ text, want string }{
		{`["e",{"a":1,"a":2}]`, `["e",{"a":2}]`},
		{`["e",{"a":1,"b":2,"a":3}]`, `["e",{"a":3,"b":2}]`},
		{`["e",{"a":1,"\u0061":2}]`, `["e",{"\u0061":2}]`},
		{`["e",{"a":{"b":1,"b":[1]},"c":{}}]`, `["e",{"a":{"b":[1]},"c":{}}]`},
		{`["e",{"a":{"b":1,"b":2},"a":{"b":3,"b":{"c":1,"c":2}}}]`, `["e",{"a":{"b":{"c":2}}}]`},
		{`["e",{"":1,"":2},{"":1}]`, `["e",{"":2},{"":1}]`},
		{`["e",{"é":1,"\u00e9":2}]`, `["e",{"\u00e9":2}]`},
		{`[ "e" , { "a" : 1 , "a" : [ 1 , 2 ] } ]`, `["e",{"a":[1,2]}]`},
		{`["e",1e400,-1e400,{"a":1E+400}]`, `["e",null,null,{"a":null}]`},
		{`["e",` + huge + `,-` + huge + `.5]`, `["e",null,null]`},
		{`["e",` + strings.Repeat("9", 250) + `e99]`, `["e",null]`},
		{`["e",1e000000400]`, `["e",null]`},
		// What stays, to the byte.
		{`["e",{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}]`, ""},
		{`["e",{"a" : 1.0, "b":1e3}]`, ""},
		{`["e",1e308,1.7976931348623157e308,1e-400,-0,123456789012345678901234567890]`, ""},
		{`["e",` + strings.Repeat("9", 308) + `,` + strings.Repeat("0.", 1) + strings.Repeat("1", 400) + `]`, ""},
		{`["e",1e0000000000000000000000000000000000000001]`, ""},
		{`["e","{\"a\":1,\"a\":2}"]`, ""},
	} {
		want := c.want
		if want == "" {
			want = c.text
		}
		if got := decoded(t, c.text); got != want {
			t.Errorf("%.80s: %.80s, want %.80s", c.text, got, want)
		}
	}
}

// msgpack has both too: its numbers are infinite, its maps repeat keys.
func TestDecoder_MsgpackHandsOnTheSame(t *testing.T) {
	d := packet.Decoder{Parser: packet.MsgpackParser}
	p, _, err := d.Binary([]byte("\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x93\xa1e\x82\xa1a\x01\xa1a\x02\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00"))
	if err != nil || string(p.Data) != `["e",{"a":2},null]` {
		t.Errorf("%s, %v", p.Data, err)
	}
}

// Objects of any size and nesting: encoding/json, which also lets the last of equal names win, reads the same from what
// came and from what is handed on, and in the latter no object has two of them.
func TestDecoder_HandsOnModel(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var b strings.Builder
		writeValue(&b, rng, 4)
		text := `["e",` + b.String() + `]`
		got := decoded(t, text)
		var before, after any
		if err := json.Unmarshal([]byte(text), &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(got), &after); err != nil {
			t.Fatalf("seed %d: %s: %v", seed, got, err)
		}
		if fmt.Sprint(before) != fmt.Sprint(after) {
			t.Fatalf("seed %d: %s became %s", seed, text, got)
		}
		if again := decoded(t, got); again != got {
			t.Fatalf("seed %d: %s is changed once more: %s", seed, got, again)
		}
		if names(before) != strings.Count(got, `":`) {
			t.Fatalf("seed %d: a name is left twice: %s", seed, got)
		}
	}
}

func writeValue(b *strings.Builder, rng *rand.Rand, depth int) {
	if depth == 0 || rng.IntN(4) == 0 {
		fmt.Fprint(b, rng.IntN(100))
		return
	}
	n := rng.IntN(14)
	if rng.IntN(4) == 0 {
		b.WriteByte('[')
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			writeValue(b, rng, depth-1)
		}
		b.WriteByte(']')
		return
	}
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, `"%c":`, 'a'+rng.IntN(20))
		writeValue(b, rng, depth-1)
	}
	b.WriteByte('}')
}

// names counts the members of all objects in a value.
func names(v any) (n int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += names(e)
		}
	case map[string]any:
		n = len(v)
		for _, e := range v {
			n += names(e)
		}
	}
	return n
}

// A megabyte of the worst that a client may send costs about what a megabyte of anything costs: the bound is generous, and
// a cost that is not linear misses it by far.
func TestDecoder_HostileNamesCostLinearTime(t *testing.T) {
	const size = 1 << 20
	for name, text := range map[string]string{
		"one name":     `["e",{` + strings.TrimSuffix(strings.Repeat(`"a":1,`, size/6), ",") + `}]`,
		"nested twins": `["e",` + strings.Repeat(`{"a":1,"a":`, 900) + `"` + strings.Repeat("x", size) + `"` + strings.Repeat(`}`, 900) + `]`,
		"long number":  `["e",` + strings.Repeat("9", size) + `]`,
		"many numbers": `["e",` + strings.TrimSuffix(strings.Repeat(`1e400,`, size/6), ",") + `]`,
		"many objects": `["e",` + strings.TrimSuffix(strings.Repeat(`{"a":0,"a":0},`, size/14), ",") + `]`,
	} {
		start := time.Now()
		decoded(t, text)
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
}
