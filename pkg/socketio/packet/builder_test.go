package packet_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

const (
	ph0 = `{"_placeholder":true,"num":0}`
	ph1 = `{"_placeholder":true,"num":1}`
	ph2 = `{"_placeholder":true,"num":2}`
)

func TestBuilder_RenumbersWhatIsUsedAndDropsTheRest(t *testing.T) {
	a := list(`["e",`+ph2+`,{"k":[`+ph0+`,`+ph2+`]},"{\"_placeholder\":true,\"num\":9}",`+ph1+`]`, "zero", "one", "two")
	elements := a.Split(nil)
	other := list(`[`+ph0+`]`, "other")
	for _, c := range []struct {
		name  string
		build func(b *packet.Builder)
		want  packet.Args
	}{
		{"one element", func(b *packet.Builder) { b.Raw(elements[1], a.Attachments) }, list(`[`+ph0+`]`, "two")},
		{"nested", func(b *packet.Builder) { b.Raw(elements[2], a.Attachments) },
			list(`[{"k":[`+ph0+`,`+ph1+`]}]`, "zero", "two")},
		{"none used", func(b *packet.Builder) { b.Raw(elements[0], a.Attachments) }, list(`["e"]`)},
		{"only text that looks like one", func(b *packet.Builder) { b.Raw(elements[3], a.Attachments) },
			list(`["{\"_placeholder\":true,\"num\":9}"]`)},
		{"the same twice", func(b *packet.Builder) {
			b.Raw(elements[1], a.Attachments)
			b.Literal(",")
			b.Raw(elements[2], a.Attachments)
		}, list(`[`+ph0+`,{"k":[`+ph1+`,`+ph0+`]}]`, "two", "zero")},
		{"two lists", func(b *packet.Builder) {
			b.Elements(other)
			b.Literal(",")
			b.Elements(a)
		}, list(`[`+ph0+`,"e",`+ph1+`,{"k":[`+ph2+`,`+ph1+`]},"{\"_placeholder\":true,\"num\":9}",`+
			`{"_placeholder":true,"num":3}]`, "other", "two", "zero", "one")},
		{"own values between", func(b *packet.Builder) {
			b.Binary([]byte("mine"))
			b.Literal(",")
			b.Raw(elements[4], a.Attachments)
			b.Literal(`,{"s":`)
			b.String("a\"b")
			b.Literal("}")
		}, list(`[`+ph0+`,`+ph1+`,{"s":"a\"b"}]`, "mine", "one")},
		{"plain data alone", func(b *packet.Builder) { b.Raw([]byte(ph1), nil) }, list(`[` + ph1 + `]`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b packet.Builder
			b.Literal("[")
			c.build(&b)
			b.Literal("]")
			got, err := b.Args()
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %s %q, %v, want %s %q", got.JSON, got.Attachments, err, c.want.JSON, c.want.Attachments)
			}
		})
	}
}

func TestBuilder_ElementsReportsEmptyLists(t *testing.T) {
	for _, c := range []struct {
		text string
		want bool
	}{{"", false}, {"[]", false}, {"[ ]", false}, {"[1]", true}} {
		var b packet.Builder
		b.Literal("[")
		if got := b.Elements(list(c.text)); got != c.want {
			t.Errorf("%q: got %v", c.text, got)
		}
	}
}

// A client may send plain data that looks like a placeholder. Next to an attachment every recipient would take it for
// one, and close its connection when the number is out of range.
func TestBuilder_RefusesPlainDataThatWouldBecomeAPlaceholder(t *testing.T) {
	for _, plain := range []string{
		ph0, `{"_placeholder":true,"num":9}`, `{ "num":9,"_placeholder":true }`, `{"\u005fplaceholder":true}`,
		`[{"k":` + ph1 + `}]`,
	} {
		for _, attachmentFirst := range []bool{true, false} {
			var b packet.Builder
			b.Literal("[")
			if attachmentFirst {
				b.Binary([]byte{1})
				b.Literal(",")
			}
			b.Raw([]byte(plain), nil)
			if !attachmentFirst {
				b.Literal(",")
				b.Binary([]byte{1})
			}
			b.Literal("]")
			if _, err := b.Args(); !errors.Is(err, packet.ErrPlaceholder) {
				t.Errorf("%s: got %v", plain, err)
			}
		}
	}
}

func TestBuilder_RefusesAPlaceholderWithoutItsAttachment(t *testing.T) {
	var b packet.Builder
	b.Literal("[")
	b.Raw([]byte(ph0+","+ph2), [][]byte{{1}})
	b.Literal("]")
	if _, err := b.Args(); !errors.Is(err, packet.ErrPlaceholder) {
		t.Errorf("got %v", err)
	}
}

func TestBuilder_RefusesPiecesThatMakeNoList(t *testing.T) {
	for _, text := range []string{"", "[", "[1", "[,]", "{}", "1", "[] ", "[]]", `["]`, "[1 2]"} {
		var b packet.Builder
		b.Literal(text)
		if got, err := b.Args(); err == nil {
			t.Errorf("%q: got %s", text, got.JSON)
		}
	}
}
