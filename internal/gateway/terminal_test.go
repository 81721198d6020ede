package gateway

import (
	"errors"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/policy"
)

func TestTerminal_ShowsTextAndNothingElse(t *testing.T) {
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

func TestRefusalLine_IsOneLineWhateverAClientChose(t *testing.T) {
	const forged = "\nrefused \"admin\" in /secret: all fine (ok)\x1b[31m"
	line := refusalLine(policy.Refusal{
		Namespace: "/n" + forged, SID: "s", Event: "e" + forged, Rule: "2 e*", Code: policy.Denied, Message: "no " + forged, Cause: errors.New(forged),
	})
	if strings.ContainsAny(line, "\n\x1b") || !strings.HasPrefix(line, `refused "e\nrefused`) {
		t.Errorf("%s", line)
	}
	line = refusalLine(policy.Refusal{
		Namespace: "/", SID: "abc", Event: "join", Rule: "1 join", Code: policy.Invalid, Message: "the condition cannot be evaluated", Cause: errors.New("no such key: user"),
	})
	if want := `refused "join" in /: the condition cannot be evaluated (invalid): no such key: user; rule "1 join", socket abc`; line != want {
		t.Errorf("got %s, want %s", line, want)
	}
}
