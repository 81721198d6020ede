package msgjson_test

import (
	"errors"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
)

func TestReader_WalksAMessageWithoutReadingAllOfIt(t *testing.T) {
	// ["id", {"skip": [1, {"a": "b"}], "n": 1.5}, <bin>]
	r := msgjson.NewReader(unhex(t, "93a2696482a4736b69709201 81a161a162 a16ecb3ff8000000000000 c4020102"),
		msgjson.DefaultDepth)
	n, err := r.Array()
	if err != nil || n != 3 {
		t.Fatalf("array of %d, %v", n, err)
	}
	if id, err := r.Bytes(); string(id) != "id" || err != nil {
		t.Errorf("first is %q, %v", id, err)
	}
	if n, err = r.Map(); err != nil || n != 2 {
		t.Fatalf("map of %d, %v", n, err)
	}
	if key, err := r.Bytes(); string(key) != "skip" || err != nil {
		t.Errorf("first key is %q, %v", key, err)
	}
	if raw, err := r.Raw(); len(raw) != 7 || err != nil {
		t.Errorf("skipped %x, %v", raw, err)
	}
	if key, err := r.AppendText(nil); string(key) != "n" || err != nil {
		t.Errorf("second key is %q, %v", key, err)
	}
	if number, err := r.Number(); number != 1.5 || err != nil {
		t.Errorf("number is %v, %v", number, err)
	}
	if kind := r.Kind(); kind != msgjson.Binary {
		t.Errorf("kind is %v", kind)
	}
	if err := r.End(); err == nil {
		t.Error("End before the last value")
	}
	if body, err := r.Bytes(); len(body) != 2 || err != nil {
		t.Errorf("bin is %x, %v", body, err)
	}
	if err := r.End(); err != nil {
		t.Error(err)
	}
	if kind := r.Kind(); kind != msgjson.None {
		t.Errorf("kind at the end is %v", kind)
	}
}

func TestReader_StaysWhereTheValueIsOfAnotherKind(t *testing.T) {
	r := msgjson.NewReader(unhex(t, "9101"), msgjson.DefaultDepth)
	if _, err := r.Map(); err == nil {
		t.Error("an array was read as a map")
	}
	if _, err := r.Bytes(); err == nil {
		t.Error("an array was read as bytes")
	}
	if _, err := r.Number(); err == nil {
		t.Error("an array was read as a number")
	}
	if out, err := r.AppendText([]byte("kept")); err == nil || string(out) != "kept" {
		t.Errorf("an array was read as text: %q", out)
	}
	if n, err := r.Array(); n != 1 || err != nil {
		t.Errorf("array of %d, %v", n, err)
	}
}

func TestReader_TextOfScalars(t *testing.T) {
	for msgpack, want := range map[string]string{
		"2a": "42", "ca422a0000": "42.5", "cb4045000000000000": "42", "e0": "-32", "c3": "true", "c0": "null",
		"d40000":   "undefined",
		"a3616263": "abc", "c403616263": "abc", "a461ff22 0a": "a\ufffd\"\n", "cbfff0000000000000": "-Infinity",
		"cb7ff8000000000000": "NaN",
	} {
		r := msgjson.NewReader(unhex(t, msgpack), msgjson.DefaultDepth)
		if got, err := r.AppendText(nil); string(got) != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", msgpack, got, err, want)
		}
	}
}

func TestReader_NumbersOfAllWidths(t *testing.T) {
	for msgpack, want := range map[string]float64{
		"02": 2, "ff": -1, "cc02": 2, "cd0002": 2, "ce00000002": 2, "cf0000000000000002": 2,
		"d002": 2, "d1fffe": -2, "ca40000000": 2, "cb4000000000000000": 2, "c3": 1,
	} {
		r := msgjson.NewReader(unhex(t, msgpack), msgjson.DefaultDepth)
		if got, err := r.Number(); got != want || err != nil {
			t.Errorf("%s is %v, %v; want %v", msgpack, got, err, want)
		}
	}
}

func TestReader_SkipRefusesTruncatedValues(t *testing.T) {
	for _, msgpack := range []string{"", "91", "81a161", "920191c1", "dcffff01"} {
		r := msgjson.NewReader(unhex(t, msgpack), msgjson.DefaultDepth)
		if err := r.Skip(); err == nil {
			t.Errorf("%q was skipped", msgpack)
		}
	}
}

func TestReader_AttachmentsAreLimitedTogetherWithThoseHandedIn(t *testing.T) {
	for _, test := range []struct {
		limit int
		want  error
	}{{2, msgjson.ErrAttachments}, {3, nil}} {
		r := msgjson.NewReader(unhex(t, "92c40101d40502"), msgjson.DefaultDepth)
		r.LimitAttachments(test.limit)
		text, attachments, err := r.AppendJSON(nil, [][]byte{{0}})
		if !errors.Is(err, test.want) {
			t.Errorf("limit %d: %v", test.limit, err)
		}
		if err != nil && (len(text) > 0 || len(attachments) != 1) {
			t.Errorf("limit %d: left %s and %d attachments behind", test.limit, text, len(attachments))
		}
	}
}

func TestReader_DepthIsToldFromOtherFaults(t *testing.T) {
	r := msgjson.NewReader(unhex(t, "9190"), 1)
	if _, _, err := r.AppendJSON(nil, nil); !errors.Is(err, msgjson.ErrDepth) {
		t.Errorf("too deep: %v", err)
	}
	r = msgjson.NewReader(unhex(t, "91"), 1)
	if _, _, err := r.AppendJSON(nil, nil); err == nil || errors.Is(err, msgjson.ErrDepth) {
		t.Errorf("cut short: %v", err)
	}
}
