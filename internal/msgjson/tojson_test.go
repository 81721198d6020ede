package msgjson_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("hex %q: %v", s, err)
	}
	return b
}

// What notepack.io 3.0.1's decode and JSON.stringify make of the bytes, but for attachments.
func TestAppendJSON_WritesWhatNodeWrites(t *testing.T) {
	long := strings.Repeat("x", 300)
	tests := []struct {
		name, msgpack, want string
		attachments         []string
	}{
		{name: "nil", msgpack: "c0", want: `null`},
		{name: "booleans", msgpack: "92c2c3", want: `[false,true]`},
		{name: "fixint", msgpack: "93007fff", want: `[0,127,-1]`},
		{name: "uint of all widths", msgpack: "94cc80cd0100ce00010000cf0020000000000000",
			want: `[128,256,65536,9007199254740992]`},
		{name: "int of all widths", msgpack: "94d0dfd1ff7fd2ffff7fffd3ffe0000000000001",
			want: `[-33,-129,-32769,-9007199254740991]`},
		{name: "int widths with positive numbers", msgpack: "94d001d10001d200000001d30000000000000001",
			want: `[1,1,1,1]`},
		{name: "uint64 keeps 64 bits", msgpack: "cfffffffffffffffff", want: `18446744073709551615`},
		{name: "int64 keeps 64 bits", msgpack: "d38000000000000000", want: `-9223372036854775808`},
		{name: "float64", msgpack: "cb419d6f3454800000", want: `123456789.125`},
		{name: "float32 widened", msgpack: "ca3dcccccd", want: `0.10000000149011612`},
		{name: "integral float32", msgpack: "ca3f800000", want: `1`},
		{name: "smallest plain number", msgpack: "cb3eb0c6f7a0b5ed8d", want: `0.000001`},
		{name: "small exponent", msgpack: "cb3e7ad7f29abcaf48", want: `1e-7`},
		{name: "tiny exponent", msgpack: "cb0000000000000001", want: `5e-324`},
		{name: "largest plain number", msgpack: "cb444b1ae4d6e2ef4f", want: `999999999999999900000`},
		{name: "exponents of three digits", msgpack: "92cb54b249ad2594c37dcb2a37313730303031",
			want: `[1e+100,2.5280425497040594e-105]`},
		{name: "large exponent", msgpack: "cb444b1ae4d6e2ef50", want: `1e+21`},
		{name: "negative zero", msgpack: "cb8000000000000000", want: `0`},
		{name: "NaN", msgpack: "cb7ff8000000000000", want: `null`},
		{name: "infinities", msgpack: "92cb7ff0000000000000cafF800000", want: `[null,null]`},
		{name: "string", msgpack: "a3e282ac", want: `"€"`},
		{name: "str8", msgpack: "d90568656c6c6f", want: `"hello"`},
		{name: "str16", msgpack: "da012c" + strings.Repeat("78", 300), want: `"` + long + `"`},
		{name: "str32", msgpack: "db00000001 78", want: `"x"`},
		{name: "escapes", msgpack: "ae 22 5c 08 09 0a 0c 0d 00 1f 7f 2f 3c e2 80",
			want: "\"\\\"\\\\\\b\\t\\n\\f\\r\\u0000\\u001f\x7f/<\ufffd\ufffd\""},
		{name: "line separator stays", msgpack: "a3e280a8", want: "\"\u2028\""},
		{name: "lone surrogate", msgpack: "a3eda080", want: "\"\ufffd\ufffd\ufffd\""},
		{name: "invalid byte between good ones", msgpack: "a3 61ff62", want: "\"a\ufffdb\""},
		{name: "four-byte character", msgpack: "a4f09f9880", want: `"😀"`},
		{name: "array16", msgpack: "dc000101", want: `[1]`},
		{name: "array32", msgpack: "dd0000000101", want: `[1]`},
		{name: "map16 with few entries", msgpack: "de0001a16101", want: `{"a":1}`},
		{name: "map32", msgpack: "df00000001a16101", want: `{"a":1}`},
		{name: "empty containers", msgpack: "929080", want: `[[],{}]`},
		{name: "duplicate keys stay", msgpack: "82a16101a16102", want: `{"a":1,"a":2}`},
		{name: "undefined in an array", msgpack: "92d4000001", want: `[null,1]`},
		{name: "undefined with another byte", msgpack: "91d40001", want: `[null]`},
		{name: "undefined drops members", msgpack: "83a161d40000a16201a163d40000", want: `{"b":1}`},
		{name: "undefined alone in a map", msgpack: "81a161d40000", want: `{}`},
		{name: "keys of other kinds",
			msgpack: "8801a161 c0a162 c3a163 cb3ff8000000000000a164 c40141a165 d40000a166 ffa167 cb7ff0000000000000a168",
			want:    `{"1":"a","null":"b","true":"c","1.5":"d","A":"e","undefined":"f","-1":"g","Infinity":"h"}`},
		{name: "timestamp 32", msgpack: "d6ff6553f100", want: `"2023-11-14T22:13:20.000Z"`},
		{name: "timestamp 32 is unsigned", msgpack: "d6ffffffffff", want: `"2106-02-07T06:28:15.000Z"`},
		{name: "timestamp 64", msgpack: "d7ff1d5353006553f100", want: `"2023-11-14T22:13:20.123Z"`},
		{name: "timestamp 64 with 34 bits", msgpack: "d7ff00000003ffffffff", want: `"2514-05-30T01:53:03.000Z"`},
		{name: "timestamp 96 before 1970", msgpack: "c70cff3b8b87c0ffffffffffffffff",
			want: `"1969-12-31T23:59:59.999Z"`},
		{name: "timestamp 96 latest", msgpack: "c70cff00000000000007dba8218000",
			want: `"+275760-09-13T00:00:00.000Z"`},
		{name: "timestamp 96 earliest", msgpack: "c70cff00000000fffff82457de8000",
			want: `"-271821-04-20T00:00:00.000Z"`},
		{name: "timestamp 96 before year 0", msgpack: "c70cff00000000fffffff184aa5080",
			want: `"-000001-01-01T00:00:00.000Z"`},
		{name: "timestamp 96 no date", msgpack: "c70cff000000007fffffffffffffff", want: `null`},
		{name: "old date", msgpack: "d7000000018bcfe5687b", want: `"2023-11-14T22:13:20.123Z"`},
		{name: "old date before 1970", msgpack: "d700ffffffffffffffff", want: `"1969-12-31T23:59:59.999Z"`},
		{name: "bin", msgpack: "92c403010203c500010a", attachments: []string{"010203", "0a"},
			want: `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`},
		{name: "bin32, empty bin", msgpack: "92c600000001ffc400", attachments: []string{"ff", ""},
			want: `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`},
		{name: "ArrayBuffer", msgpack: "93c7020001ffc800010002c9000000010003",
			attachments: []string{"01ff", "02", "03"},
			want:        `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`},
		{name: "unknown extensions", msgpack: "93d40501c703fb0a0b0cd600deadbeef",
			attachments: []string{"01", "0a0b0c", "deadbeef"},
			want: `[[5,{"_placeholder":true,"num":0}],` +
				`[-5,{"_placeholder":true,"num":1}],[0,{"_placeholder":true,"num":2}]]`},
		{name: "a plain map that looks like a placeholder", msgpack: "82ac5f706c616365686f6c646572c3a36e756d00",
			want: `{"_placeholder":true,"num":0}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, attachments, err := msgjson.AppendJSON([]byte("kept"), nil, unhex(t, test.msgpack),
				msgjson.DefaultDepth)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != "kept"+test.want {
				t.Errorf("got  %s\nwant kept%s", got, test.want)
			}
			if len(attachments) != len(test.attachments) {
				t.Fatalf("%d attachments, want %d", len(attachments), len(test.attachments))
			}
			for i, attachment := range attachments {
				if hex.EncodeToString(attachment) != test.attachments[i] {
					t.Errorf("attachment %d is %x, want %s", i, attachment, test.attachments[i])
				}
			}
		})
	}
}

func TestAppendJSON_RefusesWhatItCannotReadWhole(t *testing.T) {
	for name, msgpack := range map[string]string{
		"nothing":                    "",
		"unassigned byte":            "c1",
		"trailing byte":              "c0c0",
		"short fixstr":               "a26f",
		"short str32":                "dbffffffff6161",
		"short length":               "da01",
		"short number":               "cf00000000000000",
		"short bin":                  "c4ff00",
		"short ext":                  "c7030501",
		"ext without type":           "c700",
		"fixext without type":        "d4",
		"short fixext":               "d8050102",
		"array longer than input":    "ddffffffff0101",
		"map longer than input":      "dfffffffff0101",
		"map of one key":             "81a161",
		"array missing its last":     "920101 c1",
		"array as key":               "819001",
		"map as key":                 "818001",
		"extension as key":           "81d4050101",
		"date as key":                "81d6ff6553f10001",
		"undefined cut short":        "81a161d400",
		"error behind an attachment": "92c40101c1",
		"placeholder with bin key":   "82c40c5f706c616365686f6c646572c3a36e756d00",
		"placeholder of no bytes":    "82ac5f706c616365686f6c646572c3a36e756d00", // there is an attachment already
	} {
		t.Run(name, func(t *testing.T) {
			before := [][]byte{[]byte("a")}
			got, attachments, err := msgjson.AppendJSON([]byte("kept"), before, unhex(t, msgpack),
				msgjson.DefaultDepth)
			if err == nil {
				t.Fatalf("read as %s", got)
			}
			if string(got) != "kept" || len(attachments) != 1 {
				t.Errorf("left %q and %d attachments behind", got, len(attachments))
			}
		})
	}
}

func TestAppendJSON_LimitsDepth(t *testing.T) {
	for name, test := range map[string]struct {
		open, value string
		levels      int
	}{
		"arrays":     {open: "91", value: "c0"},
		"maps":       {open: "81a161", value: "c0"},
		"attachment": {open: "91", value: "c40101", levels: 1},
		"extension":  {open: "91", value: "d40501", levels: 2},
	} {
		t.Run(name, func(t *testing.T) {
			const depth = 5
			fits := unhex(t, strings.Repeat(test.open, depth-test.levels)+test.value)
			if _, _, err := msgjson.AppendJSON(nil, nil, fits, depth); err != nil {
				t.Errorf("as deep as allowed: %v", err)
			}
			deeper := unhex(t, strings.Repeat(test.open, depth-test.levels+1)+test.value)
			if _, _, err := msgjson.AppendJSON(nil, nil, deeper, depth); err == nil {
				t.Error("one level more was read")
			}
		})
	}
	bottomless := bytes.Repeat([]byte{0x91}, 1<<20)
	if _, _, err := msgjson.AppendJSON(nil, nil, bottomless, msgjson.DefaultDepth); err == nil {
		t.Error("a megabyte of nesting was read")
	}
}

func TestAppendJSON_AttachmentsCannotGrowIntoTheInput(t *testing.T) {
	src := unhex(t, "92c4010107")
	_, attachments, err := msgjson.AppendJSON(nil, nil, src, msgjson.DefaultDepth)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(attachments[0], 0xff)
	if src[4] != 0x07 {
		t.Error("appending to an attachment changed the message")
	}
}

func TestAppendPlainJSON_WritesBytesAsNodeBuffers(t *testing.T) {
	r := msgjson.NewReader(unhex(t, "93c403010200a161c400"), msgjson.DefaultDepth)
	got, err := r.AppendPlainJSON(nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"type":"Buffer","data":[1,2,0]},"a",{"type":"Buffer","data":[]}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
