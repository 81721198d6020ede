package eioproto

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func decodeAll(r Revision, body string, octets bool) (got string, err error) {
	var parts []string
	err = r.Decode([]byte(body), octets, func(p Packet) bool {
		kind := string(p.Type)
		if p.Binary {
			kind = "bin" + kind
		}
		parts = append(parts, kind+":"+string(p.Data))
		return true
	})
	return strings.Join(parts, "|"), err
}

func TestDecode(t *testing.T) {
	const v3, v4 = Revision(3), Revision(4)
	for _, c := range []struct {
		r      Revision
		body   string
		octets bool
		want   string
		bad    bool
	}{
		{r: v4, body: "4hello", want: "4:hello"},
		{r: v4, body: "4", want: "4:"},
		{r: v4, body: "4a\x1ebAQIDBA==\x1e3", want: "4:a|bin4:\x01\x02\x03\x04|3:"},
		{r: v4, body: "bAQIDBA", want: "bin4:\x01\x02\x03\x04"},
		{r: v4, body: "b-_8=", want: "bin4:\xfb\xff"},
		{r: v4, body: "b", want: "bin4:"},
		{r: v4, body: "bAQI=\n", want: "bin4:\x01\x02"},
		{r: v4, body: "bAQI=\r\n\x1ebAw==\n\x1e4x\x1ebBQ==\n", want: "bin4:\x01\x02|bin4:\x03|4:x|bin4:\x05"},
		{r: v4, body: "b\n A\tQ\r\nI D\nBA = =\n\n", want: "bin4:\x01\x02\x03\x04"},
		{r: v4, body: "b-+_/\n", want: "bin4:\xfb\xef\xff"},
		{r: v4, body: "b\n", want: "bin4:"},
		{r: v4, body: "bA\n", bad: true},
		{r: v4, body: "bAQ=I\n", bad: true},
		{r: v4, body: "bAQI\x00", bad: true},
		{r: v4, body: "b!!", bad: true},
		{r: v4, body: "", bad: true},
		{r: v4, body: "4a\x1e", want: "4:a", bad: true},
		{r: v4, body: "4a\x1e9\x1e4b", want: "4:a", bad: true},
		{r: v4, body: "4\xffa", want: "4:\uFFFDa"},

		{r: v3, body: "6:4hello2:4€", want: "4:hello|4:€"},
		{r: v3, body: `16:42["echo","€😀"]`, want: `4:2["echo","€😀"]`},
		{r: v3, body: "10:b4AQIDBA==", want: "bin4:\x01\x02\x03\x04"},
		{r: v3, body: "7:b4AQI=\n2:4x", want: "bin4:\x01\x02|4:x"},
		{r: v3, body: "8:b4AQI=\r\n", want: "bin4:\x01\x02"},
		{r: v3, octets: true, body: "\x00\x07\xffb4AQI=\n", want: "bin4:\x01\x02"},
		{r: v3, body: "0:1:4", want: "4:"},
		{r: v3, body: "1.0:4", want: "4:"},
		{r: v3, body: "01:4+2:4x1e1:4aaaaaaaaa", want: "4:|4:x|4:aaaaaaaaa"},
		{r: v3, body: "1.5:4", bad: true},
		{r: v3, body: "1e400:4", bad: true},
		{r: v3, body: "e:4", bad: true},
		{r: v3, body: "1-1:4", bad: true},
		{r: v3, body: "1." + strings.Repeat("0", 400) + ":4", bad: true},
		{r: v3, body: "", bad: true},
		{r: v3, body: "abc", bad: true},
		{r: v3, body: ":4", bad: true},
		{r: v3, body: "5:40", bad: true},
		{r: v3, body: "1:9", bad: true},
		{r: v3, body: "1a:4", bad: true},
		{r: v3, body: "-1:4", bad: true},
		{r: v3, body: "3:420extra", want: "4:20", bad: true},
		{r: v3, body: "2:4😀", bad: true},
		{r: v3, body: "99999999999999999999:4", bad: true},

		{r: v3, octets: true, body: "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", want: "4:hello|bin4:\x01\x02\x03\x04"},
		{r: v3, octets: true, body: "", want: ""},
		{r: v3, octets: true, body: "\x00\x05\xff4", want: "4:"},
		{r: v3, octets: true, body: "\x00", bad: true},
		{r: v3, octets: true, body: "\x00\xff4", bad: true},
		{r: v3, octets: true, body: "\x00\x01\xff", bad: true},
		{r: v3, octets: true, body: "\x00\x01\xff9", bad: true},
		{r: v3, octets: true, body: "\x01\x00\xff", bad: true},
		{r: v3, octets: true, body: "\x02\x01\xff4", bad: true},
		{r: v3, octets: true, body: "\x00\x01\xff4trailing", want: "4:", bad: true},
		{r: v3, octets: true, body: "\x00\x03\xff4\xff\xfe", want: "4:\uFFFD"},
		{r: v3, octets: true, body: "\x01\x01\xff\x09\x00\x01\xff4", want: "4:"},
		{r: v3, octets: true, body: "\x00" + strings.Repeat("\x09", 311) + "\xff4", bad: true},
		{r: v3, octets: true, body: "\x00" + strings.Repeat("\x09", 300) + "\xff4", want: "4:"},
	} {
		got, err := decodeAll(c.r, c.body, c.octets)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("revision %d, %.40q: got %q, %v, want %q, malformed %v", c.r, c.body, got, err, c.want, c.bad)
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
		got, ok := JSONPBody([]byte(form))
		if string(got) != want || !ok {
			t.Errorf("%s: got %q, %v, want %q", form, got, ok, want)
		}
	}
	if _, ok := JSONPBody([]byte("x=4")); ok {
		t.Error("a form without d is a payload")
	}
}

func TestDecode_AllocatesNothing(t *testing.T) {
	message := "4" + strings.Repeat("x", 150)
	for _, c := range []struct {
		name   string
		r      Revision
		body   string
		octets bool
	}{
		{"revision 4", 4, strings.Repeat(message+"\x1e", 9) + "3", false},
		{"revision 3", 3, strings.Repeat("151:"+message, 9) + "1:2", false},
		{"octets of revision 3", 3, strings.Repeat("\x00\x01\x05\x01\xff"+message, 9), true},
	} {
		body, packets := []byte(c.body), 0
		n := testing.AllocsPerRun(100, func() {
			if err := c.r.Decode(body, c.octets, func(Packet) bool { packets++; return true }); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 || packets == 0 {
			t.Errorf("%s: %v allocations for %d packets", c.name, n, packets)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(strings.Repeat("4"+strings.Repeat("x", 150)+"\x1e", 9) + "3")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Revision(4).Decode(body, false, func(Packet) bool { return true }); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		"4hello\x1ebAQIDBA==", "", "6:4hello0:", "10:b4AQIDBA==", "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", "2:4😀",
	} {
		for form := range 3 {
			f.Add([]byte(body), byte(form))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, form byte) {
		r := Revision(3 + form%2)
		total := 0
		_ = r.Decode(bytes.Clone(body), r == 3 && form%3 == 1, func(p Packet) bool {
			if p.Type < Open || p.Type > Noop {
				t.Errorf("packet type %q", p.Type)
			}
			total += len(p.Data)
			return true
		})
		if total > 3*len(body) { // one byte may become U+FFFD
			t.Errorf("%d bytes out of %d", total, len(body))
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("hello", []byte{1, 2, 3}, byte(0))
	f.Add("€😀", []byte{}, byte(3))
	f.Fuzz(func(t *testing.T, text string, data []byte, form byte) {
		r, f := Revision(3+form%2), Separated
		packet := r.AppendBase64(nil, data)
		switch {
		case r == 3 && form&2 == 0:
			f, packet = Octets, r.AppendBinary(nil, data)
		case r == 3:
			f = Lengths
		}
		text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x1e", ""), "")
		body := append(f.AppendLead(nil, 0, []byte("4"+text), false), "4"+text...)
		body = append(f.AppendLead(body, 1, packet, true), packet...)
		got, err := decodeAll(r, string(body), f == Octets)
		if want := "4:" + text + "|bin4:" + string(data); got != want || err != nil {
			t.Errorf("revision %d, form %d: got %q, %v, want %q", r, f, got, err, want)
		}
	})
}

// Whatever a form holds, it is unwrapped or refused; what we wrap is one string argument to any script engine.
func FuzzJSONP(f *testing.F) {
	for _, form := range []string{`d=19%3A42%5B%22a%5C%5Cnb%22`, "d=", "x=1&d=4;5", "d=%zz", "d=%E2%80%A8%5Cn", "=&d=\xff</script>"} {
		f.Add([]byte(form), "12")
	}
	f.Fuzz(func(t *testing.T, form []byte, j string) {
		payload, ok := JSONPBody(form)
		if !ok {
			return
		}
		if len(payload) > len(form) {
			t.Errorf("%d bytes out of %d", len(payload), len(form))
		}
		script, err := JSONPCall(JSONPIndex(j), payload)
		if err != nil {
			t.Fatal(err)
		}
		head := "___eio[" + JSONPIndex(j) + "]("
		literal, found := strings.CutPrefix(strings.TrimSuffix(string(script), ");"), head)
		if !found || strings.Trim(JSONPIndex(j), "0123456789") != "" || strings.ContainsAny(literal, "\n\r\u2028\u2029") {
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
