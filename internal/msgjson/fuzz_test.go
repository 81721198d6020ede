package msgjson_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/msgjson"
)

// Whatever can be read becomes valid JSON, and that text survives the way to MessagePack and back. Only -2^63 may be
// spelled otherwise afterwards: as a float it has fewer digits than as an integer.
func FuzzAppendJSON(f *testing.F) {
	for _, seed := range []string{
		"cadf000000",
		"93a6374f4467617883a47479706502a464617461 92a568656c6c6fa5776f726c64a36e7370a12f83" +
			"a5726f6f6d7390a665786365707490a5666c61677380",
		"9ea5747970657301ffcb3ff8000000000000cd012cc0c0c3a3e282ac81a1629101d7ff1d5353006553f100c403010203" +
			"c4020405cf0000010000000000",
		"93d40000d7000000018bcfe5687bc7020001ff", "84c3a161c2a162c40141a163cb7ff8000000000000d40000",
		"92d40501ca3dcccccd", "ddffffffff",
	} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var text []byte
		var attachments [][]byte
		var err error
		expectLinear(t, src, func() { text, attachments, err = msgjson.AppendJSON(nil, nil, src, msgjson.DefaultDepth) })
		expectLinear(t, src, func() {
			r := msgjson.NewReader(src, msgjson.DefaultDepth)
			_, _ = r.AppendPlainJSON(nil)
		})
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%x became %s", src, text)
		}
		packed, err := msgjson.AppendMsgpack(nil, text, attachments, msgjson.DefaultDepth)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again, attachmentsAgain, err := msgjson.AppendJSON(nil, nil, packed, msgjson.DefaultDepth)
		if err != nil {
			t.Fatalf("%x: %v", packed, err)
		}
		if !bytes.Equal(text, again) && !sameMeaning(t, text, again) {
			t.Errorf("%s came back as %s", text, again)
		}
		if len(attachments)+len(attachmentsAgain) > 0 && !reflect.DeepEqual(attachments, attachmentsAgain) {
			t.Errorf("attachments %x came back as %x", attachments, attachmentsAgain)
		}
	})
}

// expectLinear fails when transcode allocates more than doc.go promises for src.
func expectLinear(t *testing.T, src []byte, transcode func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	transcode()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(64*len(src)+16<<10) {
		t.Errorf("%d bytes allocated for %d: %.80q", got, len(src), src)
	}
}

func TestAppend_AllocIsLinearInTheInput(t *testing.T) {
	for _, n := range []int{10, 1000, 50_000} {
		for _, element := range []string{"c400", "c70005", "d40501", "c0", "01", "d6ff00000000", "cb3e45798ee2308c3a", "80", "a101"} {
			src := append(msgjson.AppendArray(nil, n), bytes.Repeat(unhex(t, element), n)...)
			expectLinear(t, src, func() { _, _, _ = msgjson.AppendJSON(nil, nil, src, msgjson.DefaultDepth) })
			expectLinear(t, src, func() {
				r := msgjson.NewReader(src, msgjson.DefaultDepth)
				_, _ = r.AppendPlainJSON(nil)
			})
		}
		for _, element := range []string{"0", "1e9", "[]", `""`, `"\u0001"`, "0.1", `{"a":0}`} {
			src := []byte("[" + strings.Repeat(element+",", n) + element + "]")
			expectLinear(t, src, func() { _, _ = msgjson.AppendMsgpack(nil, src, nil, msgjson.DefaultDepth) })
		}
	}
}

func sameMeaning(t *testing.T, a, b []byte) bool {
	t.Helper()
	var before, after any
	if err := json.Unmarshal(a, &before); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &after); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(before, after)
}

// Exactly what encoding/json finds valid is accepted, depth apart, and means the same on the other side.
func FuzzAppendMsgpack(f *testing.F) {
	for _, seed := range []string{
		`["hello","wörld",1,-1,1.5,1e21,null,true,{"a":[]}]`, `{"_placeholder":true,"num":0}`, `"\ud83d\ude00\ud83d"`,
		`[-0,1E2,0.1e-7]`,
		`18446744073709551616`, ` [ 1 , { } ] `, `[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"\n"]`, "\"\xff\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var packed []byte
		var err error
		expectLinear(t, src, func() { packed, err = msgjson.AppendMsgpack(nil, src, nil, math.MaxInt) })
		if valid := json.Valid(src); valid != (err == nil) {
			t.Fatalf("%q: %v, but valid is %v", src, err, valid)
		}
		_, _ = msgjson.AppendMsgpack(nil, src, [][]byte{{1}}, msgjson.DefaultDepth) // must not panic
		if err != nil {
			return
		}
		text, attachments, err := msgjson.AppendJSON(nil, nil, packed, math.MaxInt)
		if err != nil || len(attachments) > 0 {
			t.Fatalf("%q became %x: %v, %d attachments", src, packed, err, len(attachments))
		}
		var before, after any
		if json.Unmarshal(src, &before) != nil {
			return // a number beyond the range of float64
		}
		if err := json.Unmarshal(text, &after); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%q came back as %s", src, text)
		}
	})
}

func FuzzReader_SkipAgreesWithReading(f *testing.F) {
	f.Add(unhex(f, "9201c403010203"))
	f.Add(unhex(f, "83a161d40000a16201c0d6ff00000000"))
	f.Fuzz(func(t *testing.T, src []byte) {
		skip := msgjson.NewReader(src, math.MaxInt)
		skipped := skip.Skip()
		read := msgjson.NewReader(src, math.MaxInt)
		_, _, err := read.AppendJSON(nil, nil)
		if err == nil && skipped != nil {
			t.Errorf("%x: read, but not skipped: %v", src, skipped)
		}
		if err == nil && (skip.End() == nil) != (read.End() == nil) {
			t.Errorf("%x: skipped to another place than read", src)
		}
	})
}
