package gateway

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/carillon-io/carillon/internal/policy"
)

// terminal writes text for people. What would make a terminal do anything but show text is written as an escape: clients
// choose names and values that are shown.
type terminal struct{ io.Writer }

func (t terminal) Write(text []byte) (int, error) {
	if _, err := io.WriteString(t.Writer, printable(string(text), "\n\t")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// printable writes characters that no terminal shows as escapes, but for those that are allowed.
func printable(text, allowed string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case strconv.IsPrint(r) || strings.ContainsRune(allowed, r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// refusalLine says in one line what was refused to whom, by which rule and why.
func refusalLine(r policy.Refusal) string {
	what, where := strconv.Quote(r.Event), strconv.Quote(r.Namespace)
	if r.Event == "" {
		what = r.Rule // connect or disconnect
	}
	if plain := `"` + r.Namespace + `"`; where == plain && !strings.ContainsAny(plain, " :") {
		where = r.Namespace
	}
	line := fmt.Sprintf("refused %s in %s: %s (%s)", what, where, r.Message, r.Code)
	if r.Cause != nil {
		line += ": " + r.Cause.Error()
	}
	return printable(fmt.Sprintf("%s; rule %q, socket %s", line, r.Rule, r.SID), "")
}
