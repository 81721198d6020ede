package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/docs"
)

var casesOfPage = regexp.MustCompile("(?ms)^```yml\n(.*?)^```$")

func TestPolicyTest_TheCasesOfThePageFitTheExample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cases := filepath.Join(dir, "cases.yaml")
	for name, text := range map[string]string{
		filepath.Join(dir, "rules.yaml"): docs.Example,
		cases:                            casesOfPage.FindStringSubmatch(docs.Rules)[1],
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := execute(t, "policy", "test", cases)
	if code != exitClean || !strings.HasSuffix(stdout, "7 cases, 0 failed\n") {
		t.Errorf("exit %d; it said:\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = execute(t, "policy", "test", "--output", "json", cases)
	if code != exitClean || !strings.HasPrefix(stdout, "[") {
		t.Errorf("exit %d; it said:\n%s%s", code, stdout, stderr)
	}
}

const policyRules = `namespaces: {/: {rules: [{event: say, if: 'args[0] in rooms', do: [{emit: {to: "${args[0]}", event: said}}]}, {event: "*", deny: "no"}]}}` + "\n"

func TestPolicyTest_ExitsWith1WhenACaseFails(t *testing.T) {
	t.Parallel()
	rules := write(t, policyRules)
	cases := write(t, "cases: [{event: say, args: [a], rooms: [a], want: allowed}, {event: x, want: allowed}]\n")
	code, stdout, stderr := execute(t, "policy", "test", "--config", rules, cases)
	if code != exitFailed || !strings.Contains(stdout, "FAIL  2 x in /") || stderr != "gateway: 1 of 2 cases failed\n" {
		t.Errorf("exit %d; it said:\n%s%s", code, stdout, stderr)
	}
}

func TestPolicyTest_WhatIsWrongExitsWith2(t *testing.T) {
	t.Parallel()
	rules := write(t, policyRules)
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no file":           {[]string{"policy", "test", "--config", rules, "/nowhere"}, "no such file"},
		"no configuration":  {[]string{"policy", "test", write(t, "cases: [{event: a, want: denied}]")}, "names no configuration"},
		"a wrong case":      {[]string{"policy", "test", "--config", rules, write(t, "cases: [{evnt: a}]")}, "unknown field evnt"},
		"wrong rules":       {[]string{"policy", "test", "--config", write(t, "namespaces: {/: {rules: [{event: a, if: nope}]}}"), write(t, "cases: [{event: a, want: denied}]")}, "undeclared reference"},
		"a wrong format":    {[]string{"policy", "test", "--output", "xml", rules}, `--output "xml" is none of json, junit, text`},
		"nothing to do":     {[]string{"policy", "explain", "--config", rules}, "give one of EVENT, --connect"},
		"two things to do":  {[]string{"policy", "explain", "--config", rules, "--connect", "e"}, "give one of EVENT, --connect"},
		"no rules":          {[]string{"policy", "explain", "e"}, "Give --config FILE"},
		"auth is no object": {[]string{"policy", "explain", "--config", rules, "--auth", "[1]", "e"}, "--auth is no JSON object"},
		"a header alone":    {[]string{"policy", "explain", "--config", rules, "--header", "x", "e"}, `--header "x" has no ":"`},
		"unknown command":   {[]string{"policy", "tests"}, "unknown command"},
	} {
		code, _, stderr := execute(t, tt.args...)
		if code != exitUsage || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit %d; it said:\n%s", name, code, stderr)
		}
	}
}

func TestPolicyExplain_SaysWhichRuleDecidesAndWhy(t *testing.T) {
	t.Parallel()
	rules := write(t, policyRules)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--room", "a", "say", "a"}, `"say" in / is allowed, by rule "1 say"
  rule "1 say": it decides
    if args[0] in rooms is true
      args[0] = "a"
      rooms = ["test0123456789ABCDEF", "a"]
  action 1: emit to "a" ["said"]
  ack: [{"ok":true}]
`},
		{[]string{"say", "a\nb"}, `"say" in / is refused: denied, by rule "2 *"
  message: no
  rule "1 say": it is passed over
    if args[0] in rooms is false
      args[0] = "a\\nb"
      rooms = ["test0123456789ABCDEF"]
  rule "2 *" has no condition: it decides
  ack: [{"ok":false,"error":{"code":"denied","message":"no"}}]
`},
		{[]string{"--connect"}, "connect in / is allowed\n"},
		{[]string{"--namespace", "/x", "--connect"}, "connect in /x is refused: denied\n  message: Invalid namespace\n"},
	} {
		code, stdout, stderr := execute(t, append([]string{"policy", "explain", "--config", rules}, tt.args...)...)
		if code != exitClean || stdout != tt.want {
			t.Errorf("%q: exit %d; it said:\n%s%s", tt.args, code, stdout, stderr)
		}
	}
}
