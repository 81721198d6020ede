package gateway

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// terminal writes text for people. What would make a terminal do anything but show text is written as an escape: clients
// choose names and values that are shown.
type terminal struct{ io.Writer }

func (t terminal) Write(text []byte) (int, error) {
	if _, err := io.WriteString(t.Writer, printable(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// printable writes characters that no terminal shows as escapes, but for line ends and tabs.
func printable(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case strconv.IsPrint(r) || r == '\n' || r == '\t':
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}
