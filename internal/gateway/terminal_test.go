package gateway

import (
	"strings"
	"testing"
)

func TestTerminal_ShowsTextAndNothingElse(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	text := "plain é 😀\tx\n\x1b[2J\x07\u009b31m\u202eabc\u200b\xff\r\ufffd\u2028"
	if n, err := (terminal{&out}).Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	want := "plain é 😀\tx\n" + `\x1b[2J\a\u009b31m\u202eabc\u200b\xff\r` + "\ufffd" + `\u2028`
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
