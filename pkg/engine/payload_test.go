package engine

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func frames(packets ...string) []*Frame {
	var batch []*Frame
	for _, p := range packets {
		if data, ok := strings.CutPrefix(p, "bin:"); ok {
			batch = append(batch, NewFrame([]byte(data), true, time.Time{}))
		} else {
			batch = append(batch, NewFrame([]byte(p), false, time.Time{}))
		}
	}
	return batch
}

func encodeAll(c codec, batch []*Frame) string {
	var b bytes.Buffer
	c.encode(batch, func(p []byte) { b.Write(p) })
	return b.String()
}

func TestPayload_EncodesAsTheReference(t *testing.T) {
	unhex := func(s string) string { b, _ := hex.DecodeString(s); return string(b) }
	for _, c := range []struct {
		name  string
		codec codec
		batch []string
		want  string
	}{
		{
			"revision 4", codec{revision: 4},
			[]string{`0{"sid":"g8sfRmr-GvSMoHhVAAAC"}`, `51-["echo",{"_placeholder":true,"num":0}]`, "bin:\x01\x02\x03\x04", `2["echo","€"]`},
			"40{\"sid\":\"g8sfRmr-GvSMoHhVAAAC\"}\x1e451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1ebAQIDBA==\x1e42[\"echo\",\"€\"]",
		},
		{
			"revision 3 counts UTF-16 units", codec{revision: 3},
			[]string{`2["echo","€😀"]`},
			unhex("31363a34325b226563686f222c22e282acf09f9880225d"),
		},
		{
			"revision 3, several", codec{revision: 3},
			[]string{`2["echo",1]`, `2["echo",1]`},
			`12:42["echo",1]12:42["echo",1]`,
		},
		{
			"revision 3, one binary packet switches all", codec{revision: 3},
			[]string{`51-["echo",{"_placeholder":true,"num":0}]`, "bin:\x01\x02\x03\x04"},
			unhex("000402ff3435312d5b226563686f222c7b225f706c616365686f6c646572223a747275652c226e756d223a307d5d0105ff0401020304"),
		},
		{
			"revision 3, octets count bytes", codec{revision: 3},
			[]string{`52-["echo","€",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "bin:\x01\x02\x03\x04", "bin:\x05\x06\x07\x08"},
			unhex("000708ff3435322d5b226563686f222c22e282ac222c7b225f706c616365686f6c646572223a747275652c226e756d223a307d2c7b225f706c616365686f6c646572223a747275652c226e756d223a317d5d0105ff04010203040105ff0405060708"),
		},
		{
			"revision 3 without binary", codec{revision: 3, base64: true},
			[]string{`51-["echo",{"_placeholder":true,"num":0}]`, "bin:\x01\x02\x03\x04"},
			`42:451-["echo",{"_placeholder":true,"num":0}]10:b4AQIDBA==`,
		},
	} {
		if got := encodeAll(c.codec, frames(c.batch...)); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestPayload_WebSocketFrames(t *testing.T) {
	long := strings.Repeat("x", 70_000)
	for _, c := range []struct {
		codec codec
		frame string
		want  string
	}{
		{codec{revision: 4}, "hello", "\x81\x064hello"},
		{codec{revision: 4}, "bin:\x01\x02", "\x82\x02\x01\x02"},
		{codec{revision: 4, base64: true}, "bin:\x01\x02\x03\x04", "\x81\x09bAQIDBA=="},
		{codec{revision: 3}, "bin:\x01\x02", "\x82\x03\x04\x01\x02"},
		{codec{revision: 3, base64: true}, "bin:\x01\x02\x03\x04", "\x81\x0ab4AQIDBA=="},
		{codec{revision: 4}, long[:125], "\x81\x7e\x00\x7e4" + long[:125]},
		{codec{revision: 4}, long, "\x81\x7f\x00\x00\x00\x00\x00\x01\x11\x714" + long},
	} {
		if got := string(c.codec.frame(frames(c.frame)[0]).frame); got != c.want {
			t.Errorf("%+v %.20q: got %.40q, want %.40q", c.codec, c.frame, got, c.want)
		}
	}
}

func decodeAll(c codec, body string, octets bool) (got string, err error) {
	var parts []string
	err = c.decode([]byte(body), octets, func(p packet) bool {
		kind := string(p.kind)
		if p.binary {
			kind = "bin" + kind
		}
		parts = append(parts, kind+":"+string(p.data))
		return true
	})
	return strings.Join(parts, "|"), err
}

func TestPayload_Decodes(t *testing.T) {
	v3, v4 := codec{revision: 3}, codec{revision: 4}
	for _, c := range []struct {
		codec  codec
		body   string
		octets bool
		want   string
		bad    bool
	}{
		{codec: v4, body: "4hello", want: "4:hello"},
		{codec: v4, body: "4", want: "4:"},
		{codec: v4, body: "4a\x1ebAQIDBA==\x1e3", want: "4:a|bin4:\x01\x02\x03\x04|3:"},
		{codec: v4, body: "bAQIDBA", want: "bin4:\x01\x02\x03\x04"},
		{codec: v4, body: "b-_8=", want: "bin4:\xfb\xff"},
		{codec: v4, body: "b", want: "bin4:"},
		{codec: v4, body: "b!!", bad: true},
		{codec: v4, body: "", bad: true},
		{codec: v4, body: "4a\x1e", want: "4:a", bad: true},
		{codec: v4, body: "4a\x1e9\x1e4b", want: "4:a", bad: true},
		{codec: v4, body: "4\xffa", want: "4:\uFFFDa"},

		{codec: v3, body: "6:4hello2:4€", want: "4:hello|4:€"},
		{codec: v3, body: `16:42["echo","€😀"]`, want: `4:2["echo","€😀"]`},
		{codec: v3, body: "10:b4AQIDBA==", want: "bin4:\x01\x02\x03\x04"},
		{codec: v3, body: "0:1:4", want: "4:"},
		{codec: v3, body: "1.0:4", want: "4:"},
		{codec: v3, body: "01:4+2:4x1e1:4aaaaaaaaa", want: "4:|4:x|4:aaaaaaaaa"},
		{codec: v3, body: "1.5:4", bad: true},
		{codec: v3, body: "1e400:4", bad: true},
		{codec: v3, body: "e:4", bad: true},
		{codec: v3, body: "1-1:4", bad: true},
		{codec: v3, body: "1." + strings.Repeat("0", 400) + ":4", bad: true},
		{codec: v3, body: "", bad: true},
		{codec: v3, body: "abc", bad: true},
		{codec: v3, body: ":4", bad: true},
		{codec: v3, body: "5:40", bad: true},
		{codec: v3, body: "1:9", bad: true},
		{codec: v3, body: "1a:4", bad: true},
		{codec: v3, body: "-1:4", bad: true},
		{codec: v3, body: "3:420extra", want: "4:20", bad: true},
		{codec: v3, body: "2:4😀", bad: true},
		{codec: v3, body: "99999999999999999999:4", bad: true},

		{codec: v3, octets: true, body: "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", want: "4:hello|bin4:\x01\x02\x03\x04"},
		{codec: v3, octets: true, body: "", want: ""},
		{codec: v3, octets: true, body: "\x00\x05\xff4", want: "4:"},
		{codec: v3, octets: true, body: "\x00", bad: true},
		{codec: v3, octets: true, body: "\x00\xff4", bad: true},
		{codec: v3, octets: true, body: "\x00\x01\xff", bad: true},
		{codec: v3, octets: true, body: "\x00\x01\xff9", bad: true},
		{codec: v3, octets: true, body: "\x01\x00\xff", bad: true},
		{codec: v3, octets: true, body: "\x02\x01\xff4", bad: true},
		{codec: v3, octets: true, body: "\x00\x01\xff4trailing", want: "4:", bad: true},
		{codec: v3, octets: true, body: "\x00\x03\xff4\xff\xfe", want: "4:\uFFFD"},
		{codec: v3, octets: true, body: "\x01\x01\xff\x09\x00\x01\xff4", want: "4:"},
		{codec: v3, octets: true, body: "\x00" + strings.Repeat("\x09", 311) + "\xff4", bad: true},
		{codec: v3, octets: true, body: "\x00" + strings.Repeat("\x09", 300) + "\xff4", want: "4:"},
	} {
		got, err := decodeAll(c.codec, c.body, c.octets)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("revision %d, %.40q: got %q, %v, want %q, malformed %v", c.codec.revision, c.body, got, err, c.want, c.bad)
		}
	}
}

func TestJSONP_Unescapes(t *testing.T) {
	for form, want := range map[string]string{
		"d=2%3A40":                    "2:40",
		`d=19%3A42%5B%22a%5C%5Cnb%22`: `19:42["a\nb"`,
		`d=4a%5Cnb`:                   "4a\nb",
		"d=":                          "",
		"x=1&d=4":                     "4",
	} {
		got, ok := jsonpBody([]byte(form))
		if string(got) != want || !ok {
			t.Errorf("%s: got %q, %v, want %q", form, got, ok, want)
		}
	}
	if _, ok := jsonpBody([]byte("x=4")); ok {
		t.Error("a form without d is a payload")
	}
}

func TestPreferredEncoding(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "br": "", "gzip": "gzip", "deflate": "deflate", "*": "gzip", "GZIP": "gzip",
		"gzip, deflate, br": "gzip", "deflate, gzip": "deflate", "br, deflate;q=0.5, gzip ; q=0.8": "gzip",
		"gzip;q=0": "", "gzip; q=0.0, *": "deflate", "*;q=0": "", "*, deflate": "deflate", "deflate;q=0.2, *;q=0.5": "gzip",
		"gzip;q=x": "gzip", "gzip;q=-1": "", "gzip;q=NaN": "",
	} {
		if got := preferredEncoding(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func FuzzPayload_Decode(f *testing.F) {
	for _, body := range []string{
		"4hello\x1ebAQIDBA==", "", "6:4hello0:", "10:b4AQIDBA==", "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", "2:4😀",
	} {
		for form := range 3 {
			f.Add([]byte(body), byte(form))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, form byte) {
		c := codec{revision: 3 + form%2}
		total := 0
		_ = c.decode(bytes.Clone(body), c.revision == 3 && form%3 == 1, func(p packet) bool {
			if p.kind < packetOpen || p.kind > packetNoop {
				t.Errorf("packet type %q", p.kind)
			}
			total += len(p.data)
			return true
		})
		if total > 3*len(body) { // one byte may become U+FFFD
			t.Errorf("%d bytes out of %d", total, len(body))
		}
	})
}

func FuzzPayload_RoundTrip(f *testing.F) {
	f.Add("hello", []byte{1, 2, 3}, byte(0))
	f.Add("€😀", []byte{}, byte(3))
	f.Fuzz(func(t *testing.T, text string, data []byte, form byte) {
		c := codec{revision: 3 + form%2, base64: form&2 != 0}
		text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x1e", ""), "")
		batch := []*Frame{NewFrame([]byte(text), false, time.Time{}), NewFrame(data, true, time.Time{})}
		got, err := decodeAll(c, encodeAll(c, batch), c.octets(batch))
		if want := "4:" + text + "|bin4:" + string(data); got != want || err != nil {
			t.Errorf("%+v: got %q, %v, want %q", c, got, err, want)
		}
	})
}

// Whatever a form holds, it is unwrapped or refused; what we wrap is one string argument to any script engine.
func FuzzJSONP(f *testing.F) {
	for _, form := range []string{`d=19%3A42%5B%22a%5C%5Cnb%22`, "d=", "x=1&d=4;5", "d=%zz", "d=%E2%80%A8%5Cn", "=&d=\xff</script>"} {
		f.Add([]byte(form), "12")
	}
	f.Fuzz(func(t *testing.T, form []byte, j string) {
		payload, ok := jsonpBody(form)
		if !ok {
			return
		}
		if len(payload) > len(form) {
			t.Errorf("%d bytes out of %d", len(payload), len(form))
		}
		script, err := jsonpCall(jsonpIndex(j), payload)
		if err != nil {
			t.Fatal(err)
		}
		head := "___eio[" + jsonpIndex(j) + "]("
		literal, found := strings.CutPrefix(strings.TrimSuffix(string(script), ");"), head)
		if !found || strings.Trim(jsonpIndex(j), "0123456789") != "" || strings.ContainsAny(literal, "\n\r\u2028\u2029") {
			t.Errorf("script %q", script)
		}
		var got string
		if err := json.Unmarshal([]byte(literal), &got); err != nil || got != strings.ToValidUTF8(string(payload), "\uFFFD") {
			// One U+FFFD stands for each byte there, for each run here.
			if strings.ReplaceAll(got, "\uFFFD", "") != strings.ToValidUTF8(strings.ReplaceAll(string(payload), "\uFFFD", ""), "") {
				t.Errorf("%q became %q, %v", payload, got, err)
			}
		}
	})
}
