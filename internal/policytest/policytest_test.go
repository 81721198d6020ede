package policytest_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/internal/policytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the files that outputs are compared with")

func tester(t *testing.T, file string) *policy.Tester {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(config.Source{File: text, Rules: policy.Check})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := auth.New(cfg.Auth, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tester, err := policy.NewTester(policy.Config{Namespaces: cfg.Namespaces}, policy.Tokens{Verifier: verifier})
	if err != nil {
		t.Fatal(err)
	}
	return tester
}

func TestOutput(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := policytest.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	results, err := policytest.Run(context.Background(), tester(t, filepath.Join("testdata", file.Config)), file.Cases)
	if err != nil {
		t.Fatal(err)
	}
	if got := policytest.Failed(results); got != 2 {
		t.Errorf("%d cases failed, want 2", got)
	}
	for format, write := range policytest.Writers {
		var out bytes.Buffer
		if err := write(&out, results); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "output."+format)
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%s:\n%s\nwant\n%s", format, out.Bytes(), want)
		}
	}
}

func TestRead_NamesWhatIsWrong(t *testing.T) {
	for file, want := range map[string]string{
		``:                                       "no cases",
		`cases: []`:                              "no cases",
		`cases: [{evnt: a}]`:                     "line 1: unknown field evnt",
		`cases: [{event: a}]`:                    `case 1, 1 a in /: want.decision "" is none of allowed`,
		`cases: [{event: a, want: fine}]`:        `want.decision "fine" is none of`,
		`cases: [{want: allowed}]`:               "exactly one of connect: true, event and disconnect",
		`cases: [{connect: true, event: a}]`:     "exactly one of",
		`cases: [{connect: true, args: [1]}]`:    "args belong to an event",
		`cases: [{event: a, namespace: x}]`:      `namespace "x" does not begin with /`,
		`cases: [{event: a, times: -1}]`:         "times must be from 1 to",
		`cases: [{event: a, want: {desion: 1}}]`: `line 1: want has no field "desion", only decision, rule, message, actions, ack`,
		"cases: [{event: a, token: x, claims: {}, want: denied}]": "exclude each other",
		`cases: [{event: a, auth: [1]}]`:                          "line 1: expected names and values, not a list",
		"cases:\n- {evnt: a}\n- {event: a, args: x}\n- {event: a, rooms: {b: c}, times: no}\n- event: a\n  want:\n    rule: a\n    desion: 1": "line 2: unknown field evnt\n" +
			"line 3: expected a list, not `x`\nline 4: expected a list of texts, not names and values\nline 4: expected a number, not `no`\n" +
			`line 8: want has no field "desion", only decision, rule, message, actions, ack`,
		`hello`:      "line 1: expected config and cases, not text",
		`cases: x`:   "line 1: expected a list of cases, not `x`",
		`cases: [x]`: "line 1: expected a case, not `x`",
		`cases: [{connect: maybe, want: denied}]`:       "line 1: expected true or false, not `maybe`",
		`cases: [{event: a, want: [b]}]`:                "line 1: expected a decision or fields of want, not a list",
		`cases: [{event: a, want: {ack: b}}]`:           "line 1: expected a list, not `b`",
		`cases: [{event: a, want: {actions: [b]}}]`:     "line 1: expected names and values, not `b`",
		`cases: [{event: [a], want: denied}]`:           "line 1: expected text, not a list",
		`cases: [{event: a, query: [b], want: denied}]`: "line 1: expected names and texts, not a list",
	} {
		if _, err := policytest.Read(strings.NewReader(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", file, err, want)
		}
	}
}

func TestDecide_NothingHappensInANamespaceThatIsNotThere(t *testing.T) {
	tester := tester(t, "testdata/rules.yaml")
	for _, c := range []policytest.Case{{Connect: true}, {Event: "typing"}, {Disconnect: "transport close"}} {
		c.Namespace, c.Times = "/nowhere", 1
		d, err := policytest.Decide(context.Background(), tester, &c)
		if err != nil || d.Code != policy.Denied || d.Message != "Invalid namespace" {
			t.Errorf("%+v: %+v, %v", c, d, err)
		}
	}
}

func TestDecide_EachCaseHasAConnectionOfItsOwn(t *testing.T) {
	tester := tester(t, "testdata/rules.yaml")
	c := &policytest.Case{Namespace: "/", Event: "typing", Args: []any{"a"}, Rooms: []string{"a"}, Times: 2}
	for range 2 {
		d, err := policytest.Decide(context.Background(), tester, c)
		if err != nil || d.Code != "" {
			t.Errorf("%+v, %v", d, err)
		}
	}
}
