package packet_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func list(text string, attachments ...string) packet.Args {
	a := packet.Args{JSON: []byte(text)}
	for _, data := range attachments {
		a.Attachments = append(a.Attachments, []byte(data))
	}
	return a
}

func TestArgs_ElementsAreFoundInAnySpelling(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"[]", nil},
		{" [ ] ", nil},
		{"[1]", []string{"1"}},
		{"[ 1 , -2.5e+3 ,true,null]", []string{"1", "-2.5e+3", "true", "null"}},
		{`["a,]\"","\\",""]`, []string{`"a,]\""`, `"\\"`, `""`}},
		{`["quite a long string with an \" in it", 1]`, []string{`"quite a long string with an \" in it"`, "1"}},
		{`[{"k":[1,{"l":"}"}]}, [[]] , "x"]`, []string{`{"k":[1,{"l":"}"}]}`, "[[]]", `"x"`}},
		{`["naïve ☃ ]","ü"]`, []string{`"naïve ☃ ]"`, `"ü"`}},
	} {
		a := list(c.text)
		var got []string
		for _, element := range a.Split(nil) {
			got = append(got, string(element))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: Split: got %q, want %q", c.text, got, c.want)
		}
		if a.Len() != len(c.want) {
			t.Errorf("%s: Len: got %d, want %d", c.text, a.Len(), len(c.want))
		}
		for i, want := range c.want {
			if element, ok := a.At(i); !ok || string(element) != want {
				t.Errorf("%s: At(%d): got %q, %v, want %q", c.text, i, element, ok, want)
			}
		}
		for _, i := range []int{-1, len(c.want), len(c.want) + 1} {
			if element, ok := a.At(i); ok || element != nil {
				t.Errorf("%s: At(%d): got %q, want none", c.text, i, element)
			}
		}
	}
}

func TestArgs_ElementsCannotGrowIntoTheList(t *testing.T) {
	a := list(`["a","b"]`)
	first, _ := a.At(0)
	_ = append(first, "overwritten"...)
	_ = append(a.Split(nil)[0], "overwritten"...)
	if string(a.JSON) != `["a","b"]` {
		t.Errorf("got %s", a.JSON)
	}
}

func TestArgs_NameIsWhatJavaScriptDispatches(t *testing.T) {
	for _, c := range []struct {
		text string
		name string
		ok   bool
	}{
		{`["a",1]`, "a", true},
		{`[""]`, "", true},
		{`[ "order:new" ]`, "order:new", true},
		{`["\u00e9\"\ud83d\ude00"]`, "é\"😀", true},
		{`["\ud800"]`, "\ufffd", true},
		{"[1]", "1", true},
		{"[1.0]", "1", true},
		{"[-0]", "0", true},
		{"[1.50]", "1.5", true},
		{"[1e21]", "1e+21", true},
		{"[123456789012345678901]", "123456789012345680000", true},
		{"[1e-7]", "1e-7", true},
		{"[1e999]", "Infinity", true},
		{"[]", "", false},
		{"", "", false},
		{"[null]", "", false},
		{`[{"a":1}]`, "", false},
	} {
		if name, ok := list(c.text).Name(); name != c.name || ok != c.ok {
			t.Errorf("%s: got %q, %v, want %q, %v", c.text, name, ok, c.name, c.ok)
		}
	}
}

func TestArgs_TailAndNewEventAreInverse(t *testing.T) {
	for _, c := range []struct{ event, tail, again string }{
		{`["a",1,{"k":[]}]`, `[1,{"k":[]}]`, `["a",1,{"k":[]}]`},
		{`[ "a" , 1 , 2 ]`, `[1 , 2 ]`, `["a",1 , 2 ]`},
		{`["a"]`, "", `["a"]`},
		{"[]", "", `["a"]`},
	} {
		tail := list(c.event, "bin").Tail()
		if string(tail.JSON) != c.tail {
			t.Errorf("%s: tail: got %s, want %s", c.event, tail.JSON, c.tail)
		}
		if name, cut, _ := list(c.event, "bin").CutName(); name != "a" && tail.JSON != nil || !reflect.DeepEqual(cut, tail) {
			t.Errorf("%s: cut: got %q and %s, want %s", c.event, name, cut.JSON, c.tail)
		}
		if got := packet.NewEvent("a", tail); string(got.JSON) != c.again {
			t.Errorf("%s: event: got %s, want %s", c.event, got.JSON, c.again)
		}
	}
	got := packet.NewEvent("q\"\n", list(`[{"_placeholder":true,"num":0}]`, "bin"))
	want := list(`["q\"\n",{"_placeholder":true,"num":0}]`, "bin")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %s %q", got.JSON, got.Attachments)
	}
}

func TestPacket_ArgsShareItsData(t *testing.T) {
	p := mustDecode(t, `2["a",1]`)
	if a := p.Args(); &a.JSON[0] != &p.Data[0] {
		t.Error("the list is a copy")
	}
}

func TestReservedEvent(t *testing.T) {
	for name, want := range map[string]bool{
		"connect": true, "connect_error": true, "disconnect": true, "disconnecting": true, "newListener": true,
		"removeListener": true, "connection": false, "error": false, "": false, "Connect": false,
	} {
		if got := packet.ReservedEvent(name); got != want {
			t.Errorf("%q: got %v", name, got)
		}
	}
}

func TestAppendString_WritesWhatJSONStringifyDoes(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `""`},
		{"plain", `"plain"`},
		{`"\/`, `"\"\\/"`},
		{"\b\f\n\r\t\x00\x1e\x7f", "\"\\b\\f\\n\\r\\t\\u0000\\u001e\x7f\""},
		{"<>&'\u2028\u2029", "\"<>&'\u2028\u2029\""},
		{"é☃😀", `"é☃😀"`},
		{"a\xffb\xed\xa0\x80", "\"a\ufffdb\ufffd\ufffd\ufffd\""},
	} {
		if got := packet.AppendString([]byte("x"), c.text); string(got) != "x"+c.want {
			t.Errorf("%q: got %s, want x%s", c.text, got, c.want)
		}
	}
}

func TestCutPlaceholder_ReadsOnlyTheOneSpelling(t *testing.T) {
	for _, c := range []struct {
		text string
		num  int
		rest string
		ok   bool
	}{
		{`{"_placeholder":true,"num":0}`, 0, "", true},
		{`{"_placeholder":true,"num":12},1]`, 12, ",1]", true},
		{string(packet.AppendPlaceholder(nil, 999999999)), 999999999, "", true},
		{`{"_placeholder":true,"num":}`, 0, "", false},
		{`{"_placeholder":true,"num":0`, 0, "", false},
		{`{"_placeholder":true,"num":0,"k":1}`, 0, "", false},
		{`{"_placeholder":true,"num":1.0}`, 0, "", false},
		{`{"_placeholder":true,"num":99999999999}`, 0, "", false},
		{`{"num":0,"_placeholder":true}`, 0, "", false},
		{`[{"_placeholder":true,"num":0}]`, 0, "", false},
		{"", 0, "", false},
	} {
		num, rest, ok := packet.CutPlaceholder([]byte(c.text))
		if !c.ok {
			c.rest = c.text
		}
		if num != c.num || string(rest) != c.rest || ok != c.ok {
			t.Errorf("%s: got %d %q %v", c.text, num, rest, ok)
		}
	}
}

func TestCountPlaceholders_FindsEverySpelling(t *testing.T) {
	for text, want := range map[string]int{
		`["_placeholder",{"_placeholder":false,"num":0},"{\"_placeholder\":true}"]`:      0,
		`[{"_placeholder":true,"num":0},{ "k" : {"num":7, "\u005fplaceholder" : true}}]`: 2,
		`[{"_placeholder":true,"num":0,"k":[{"_placeholder":true,"num":1}]}]`:            2,
		`[{"_placeholder":true,"_placeholder":1}]`:                                       0,
	} {
		if got := packet.CountPlaceholders([]byte(text)); got != want {
			t.Errorf("%s: got %d, want %d", text, got, want)
		}
	}
}

func ExampleBuilder() {
	client := packet.Args{
		JSON: []byte(`["photo",{"_placeholder":true,"num":0},` +
			`{"caption" : "sea",  "raw":{"_placeholder":true,"num":1}}]`),
		Attachments: [][]byte{[]byte("thumbnail"), []byte("image")},
	}
	second, _ := client.At(2)

	var b packet.Builder
	b.Literal(`[`)
	b.String("new photo")
	b.Literal(`,{"from":`)
	b.String("7f3a")
	b.Literal(`,"photo":`)
	b.Raw(second, client.Attachments)
	b.Literal(`}]`)
	event, err := b.Args()
	fmt.Printf("%s %q %v\n", event.JSON, event.Attachments, err)
	// Output:
	// ["new photo",{"from":"7f3a","photo":{"caption" : "sea",  "raw":{"_placeholder":true,"num":0}}}] ["image"] <nil>
}
