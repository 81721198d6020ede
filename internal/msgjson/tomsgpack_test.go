package msgjson_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
)

// The bytes are those of notepack.io 3.0.1's encode(JSON.parse(text)) where the comment does not say otherwise.
func TestAppendMsgpack_WritesWhatNotepackWrites(t *testing.T) {
	sixteen := make([]string, 16)
	for i := range sixteen {
		sixteen[i] = fmt.Sprint(i)
	}
	members := make([]string, 16)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%02d":%d`, i, i)
	}
	var packedMembers strings.Builder
	for i := range 16 {
		fmt.Fprintf(&packedMembers, "a36b%x%02x", fmt.Sprintf("%02d", i), i)
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	packedX := func(n int) string { return strings.Repeat("78", n) }
	tests := []struct{ text, want string }{
		{`0`, "00"}, {`-0`, "00"}, {`127`, "7f"}, {`128`, "cc80"}, {`255`, "ccff"}, {`256`, "cd0100"},
		{`65535`, "cdffff"}, {`65536`, "ce00010000"}, {`4294967295`, "ceffffffff"},
		{`4294967296`, "cf0000000100000000"},
		{`9007199254740991`, "cf001fffffffffffff"}, {`123456789012`, "cf0000001cbe991a14"},
		{`-1`, "ff"}, {`-32`, "e0"}, {`-33`, "d0df"}, {`-128`, "d080"}, {`-129`, "d1ff7f"}, {`-32768`, "d18000"},
		{`-32769`, "d2ffff7fff"}, {`-2147483648`, "d280000000"}, {`-2147483649`, "d3ffffffff7fffffff"},
		{`-9007199254740991`, "d3ffe0000000000001"},
		{`1.0`, "01"}, {`1e3`, "cd03e8"}, {`1E+3`, "cd03e8"}, {`100e-2`, "01"}, {`-3.0`, "fd"},
		{`1.5`, "cb3ff8000000000000"}, {`-1.5`, "cbbff8000000000000"}, {`1e-7`, "cb3e7ad7f29abcaf48"},
		{`1e999`, "cb7ff0000000000000"},
		// Beyond 2^53 Node would round, beyond 2^64 notepack writes remainders.
		{`9007199254740993`, "cf0020000000000001"}, {`18446744073709551615`, "cfffffffffffffffff"},
		{`-9223372036854775808`, "d38000000000000000"},
		{`18446744073709551616`, "cb43f0000000000000"}, {`-9223372036854775809`, "d38000000000000000"},
		{`1e21`, "cb444b1ae4d6e2ef50"}, {`-1e21`, "cbc44b1ae4d6e2ef50"},
		{`true`, "c3"}, {`false`, "c2"}, {`null`, "c0"},
		{`""`, "a0"}, {`"€"`, "a3e282ac"},
		{`"` + x(31) + `"`, "bf" + packedX(31)}, {`"` + x(32) + `"`, "d920" + packedX(32)},
		{`"` + x(255) + `"`, "d9ff" + packedX(255)}, {`"` + x(256) + `"`, "da0100" + packedX(256)},
		{`"` + x(65536) + `"`, "db00010000" + packedX(65536)},
		{`"\u20ac\ud83d\ude00\n\"\\\/\b\f\r\t"`, "afe282acf09f98800a225c2f080c0d09"},
		{`"\u20AC` + x(29) + `"`, "d920e282ac" + packedX(29)}, {`"\u0078` + x(30) + `"`, "bf" + packedX(31)},
		{`"a\u0000b"`, "a3610062"},
		{`[]`, "90"}, {`{}`, "80"}, {" [ ] ", "90"}, {"\t{ }\r\n", "80"},
		{`[[],{},[1,[2]]]`, "93908092019102"}, {`{"a":1,"b":{"c":null}}`, "82a16101a16281a163c0"},
		{`{ "a" : [ 1 , 2.5 , "x" ] , "€" : "ü" }`, "82a1619301cb4004000000000000a178a3e282aca2c3bc"},
		{`{"a":1,"a":2}`, "82a16101a16102"}, // kept, where JSON.parse drops the first
		{`[` + strings.Join(sixteen, ",") + `]`, "dc0010000102030405060708090a0b0c0d0e0f"},
		{`{` + strings.Join(members, ",") + `}`, "de0010" + packedMembers.String()},
		{`[` + strings.Repeat("0,", 65535) + `0]`, "dd00010000" + strings.Repeat("00", 65536)},
		// What is no Unicode becomes U+FFFD.
		{`"\ud83d"`, "a3efbfbd"}, {`"\ude00\ud83d"`, "a6efbfbdefbfbd"}, {`"\ud83dx"`, "a4efbfbd78"},
		{`"\ud83d\n"`, "a4efbfbd0a"}, {`"\ud83d\u0041"`, "a4efbfbd41"}, {`"\ud83d\ud83d\ude00"`, "a7efbfbdf09f9880"},
		{"\"\xff\"", "a3efbfbd"}, {"\"a\xed\xa0\x80\"", "aa61efbfbdefbfbdefbfbd"},
		{"\"€\xe2\x82\"", "a9e282acefbfbdefbfbd"},
		{`{"_placeholder":true,"num":0}`, "82ac5f706c616365686f6c646572c3a36e756d00"}, // no attachments: plain data
	}
	for _, test := range tests {
		name := test.text[:min(len(test.text), 40)]
		t.Run(name, func(t *testing.T) {
			got, err := msgjson.AppendMsgpack([]byte{0xaa}, []byte(test.text), nil, msgjson.DefaultDepth)
			if err != nil {
				t.Fatal(err)
			}
			if want := "aa" + test.want; hex.EncodeToString(got) != want {
				t.Errorf("got  %x\nwant %s", got, want)
			}
		})
	}
}

func TestAppendMsgpack_PutsAttachmentsBack(t *testing.T) {
	attachments := [][]byte{{1, 2}, {}, []byte(strings.Repeat("x", 256))}
	const placeholderKey = "ac5f706c616365686f6c646572"
	for _, test := range []struct{ text, want string }{
		{`{"_placeholder":true,"num":0}`, "c4020102"},
		{`["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`, "93a161c400c4020102"},
		{`{"a":{"_placeholder":true,"num":2}}`, "81a161c50100" + strings.Repeat("78", 256)},
		{` { "num" : 0 , "other" : [ 1 ] , "_placeholder" : true } `, "c4020102"},
		{`{"\u005fplaceholder":true,"num":0.0}`, "c4020102"},
		{`{"_placeholder":false,"num":0}`, "82" + placeholderKey + "c2a36e756d00"},
		{`{"_placeholder":1,"num":7}`, "82" + placeholderKey + "01a36e756d07"},
		{`{"_placeholder":true,"num":0,"_placeholder":null}`,
			"83" + placeholderKey + "c3a36e756d00" + placeholderKey + "c0"},
		{`{"num":9}`, "81a36e756d09"},
	} {
		t.Run(test.text, func(t *testing.T) {
			got, err := msgjson.AppendMsgpack(nil, []byte(test.text), attachments, msgjson.DefaultDepth)
			if err != nil {
				t.Fatal(err)
			}
			if hex.EncodeToString(got) != test.want {
				t.Errorf("got  %x\nwant %s", got, test.want)
			}
		})
	}
}

func TestAppendMsgpack_RefusesPlaceholdersOfNothing(t *testing.T) {
	for _, text := range []string{
		`{"_placeholder":true}`, `{"_placeholder":true,"num":1}`, `{"_placeholder":true,"num":-1}`,
		`{"_placeholder":true,"num":0.5}`, `{"_placeholder":true,"num":"0"}`, `{"_placeholder":true,"num":[0]}`,
	} {
		if got, err := msgjson.AppendMsgpack(nil, []byte(text), [][]byte{{1}}, msgjson.DefaultDepth); err == nil {
			t.Errorf("%s became %x", text, got)
		}
	}
}

func TestAppendMsgpack_RefusesInvalidJSON(t *testing.T) {
	for _, text := range []string{
		``, ` `, `[`, `[1`, `[1,`, `[1,]`, `[,]`, `[1 2]`, `]`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{"a" 1}`,
		`{1:2}`,
		`{"a":1]`, `[1}`, `"`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\ud83d\u12"`, "\"\n\"", "\"a\x00\"", `1 1`,
		`[] []`,
		`-`, `+1`, `01`, `-01`, `1.`, `.5`, `1.e3`, `1e`, `1e+`, `0x1`, `NaN`, `Infinity`, `tru`, `truex`, `True`,
		`nul`, "\x00",
		`'a'`, `undefined`, "\ufeff1", "1\x00",
	} {
		got, err := msgjson.AppendMsgpack([]byte("kept"), []byte(text), nil, msgjson.DefaultDepth)
		if err == nil {
			t.Errorf("%q became %x", text, got)
		}
		if string(got) != "kept" {
			t.Errorf("%q left %q behind", text, got)
		}
	}
}

func TestAppendMsgpack_LimitsDepth(t *testing.T) {
	const depth = 5
	for _, pair := range [][2]string{{"[", "]"}, {`{"a":[`, `]}`}} {
		levels := len(pair[1])
		nested := func(n int) []byte {
			return []byte(strings.Repeat(pair[0], n) + "1" + strings.Repeat(pair[1], n))
		}
		if _, err := msgjson.AppendMsgpack(nil, nested(depth/levels), nil, depth); err != nil {
			t.Errorf("as deep as allowed: %v", err)
		}
		if _, err := msgjson.AppendMsgpack(nil, nested(depth/levels+1), nil, depth); err == nil {
			t.Error("a deeper text was read")
		}
	}
	if _, err := msgjson.AppendMsgpack(nil, []byte(strings.Repeat("[", 1<<20)), nil,
		msgjson.DefaultDepth); err == nil {
		t.Error("a megabyte of nesting was read")
	}
}

func TestAppendMsgpack_OneAttachmentCannotBeMultipliedForEver(t *testing.T) {
	list := func(n int) []byte {
		return []byte("[" + strings.Repeat(`{"_placeholder":true,"num":0},`, n) + "0]")
	}
	attachments := [][]byte{make([]byte, 1<<16)}
	if _, err := msgjson.AppendMsgpack(nil, list(16), attachments, 3); err != nil {
		t.Errorf("16 times: %v", err)
	}
	if out, err := msgjson.AppendMsgpack(nil, list(1000), attachments, 3); err == nil {
		t.Errorf("1,000 times: %d bytes", len(out))
	}
	if _, err := msgjson.AppendMsgpack(nil, list(1000), [][]byte{{1}}, 3); err != nil {
		t.Errorf("a small one 1,000 times: %v", err)
	}
}
