package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	testprogram "github.com/carillon-io/carillon/test/program"
)

// asGateway makes this test binary the gateway: signals and exit codes belong to a process.
const asGateway = "RUN_AS_GATEWAY"

// binary is a name for this program as an installed one may have: not where the go command builds, and with a space in it.
var binary string

func TestMain(m *testing.M) {
	if os.Getenv(asGateway) != "" {
		main()
	}
	os.Exit(test(m))
}

func test(m *testing.M) int {
	dir, err := os.MkdirTemp("", "my tools ")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "gateway")
	if err := os.Symlink(os.Args[0], binary); err != nil {
		panic(err)
	}
	return m.Run()
}

// process is a gateway that a test started.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	output testprogram.Output
	done   chan struct{} // closed when it has ended
}

// start runs the gateway with a clean environment but for environ.
func start(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Env = append(append(p.cmd.Env, asGateway+"=1", "PATH="+os.Getenv("PATH")), environ...)
	p.cmd.Dir = t.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is looked at
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // most have left
		<-p.done
	})
	return p
}

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(time.Minute):
		p.t.Fatalf("did not end; it said:\n%s", p.output.String())
		return -1
	}
}

// says waits until the output holds text.
func (p *process) says(text string) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !strings.Contains(p.output.String(), text) {
		select {
		case <-tick.C:
		case <-p.done:
			p.t.Fatalf("ended with %d before it said %q:\n%s", p.cmd.ProcessState.ExitCode(), text, p.output.String())
		case <-limit:
			p.t.Fatalf("does not say %q:\n%s", text, p.output.String())
		}
	}
}

// execute runs the gateway to its end.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	cmd := exec.Command(binary, args...)
	cmd.Env = []string{asGateway + "=1"}
	cmd.Stdout, cmd.Stderr = &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		t.Fatal(e)
	}
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "carillon.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCommandLine_WhatIsWrongExitsWith2AndSaysWhy(t *testing.T) {
	t.Parallel()
	bad := write(t, "engine: {ping_timeout: 0s}\nserver: {addres: ':1'}\n")
	rules := write(t, "namespaces: {/: {rules: [{event: a, if: 'nonsense(', do: [{join: r}]}]}}\n")
	bundle := write(t, "server: {client_bundle: /nowhere}\n")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"unknown command":           {[]string{"serv"}, "did you mean dev or serve?"},
		"unknown command of config": {[]string{"config", "chek"}, "did you mean check?"},
		"unknown flag":              {[]string{"serve", "--nope"}, "unknown flag: --nope\nSee gateway serve --help"},
		"flag without value":        {[]string{"serve", "--config"}, "flag needs an argument"},
		"argument too many":         {[]string{"version", "now"}, `"now" is one argument too many`},
		"argument missing":          {[]string{"config", "check"}, "gateway config check FILE: an argument is missing"},
		"serve, no such file":       {[]string{"serve", "--config", "/nowhere.yaml"}, "/nowhere.yaml: no such file"},
		"serve, faults":             {[]string{"serve", "--config", bad}, "engine.ping_timeout"},
		"serve, faults in rules":    {[]string{"serve", "--config", rules}, `namespaces["/"].rules[0].if`},
		"serve, all missing files":  {[]string{"serve", "--config", write(t, "server: {tls: {cert: /nowhere, key: /nowhere}, client_bundle: /nowhere}\n")}, "server.client_bundle"},
		"serve, missing folder":     {[]string{"serve", "--config", bundle}, "server.client_bundle"},
		"dev, no such file":         {[]string{"dev", "--config", "/nowhere.yaml"}, "/nowhere.yaml: no such file"},
		"dev, faults":               {[]string{"dev", "--config", bad}, "engine.ping_timeout"},
		"dev, faults in rules":      {[]string{"dev", "--config", rules}, `namespaces["/"].rules[0].if`},
		"dev, no address":           {[]string{"dev", "--address", "here"}, "here"},
		"check, no such file":       {[]string{"config", "check", "/nowhere.yaml"}, "/nowhere.yaml: no such file"},
		"check, faults in rules":    {[]string{"config", "check", rules}, `namespaces["/"].rules[0].if`},
		"doc, no such page":         {[]string{"config", "doc", "rule"}, `no page "rule"`},
		"print, faults":             {[]string{"config", "print", bad}, "server.addres"},
		"emit without an event":     {[]string{"emit", "--redis", "redis://127.0.0.1:1"}, "an argument is missing"},
		"emit without a Redis":      {[]string{"emit", "hello"}, "which Redis?"},
		"emit with two":             {[]string{"emit", "--redis", "redis://127.0.0.1:1", "--config", bad, "hello"}, "which Redis?"},
		"emit, no URL":              {[]string{"emit", "--redis", "http://127.0.0.1", "hello"}, "redis"},
		"emit, a dash":              {[]string{"emit", "--redis", "redis://127.0.0.1:1", "note", "-x"}, "put -- before arguments that begin with a dash"},
		"rebalance, no nodes":       {[]string{"rebalance", "--config", write(t, "log: {level: warn}\n")}, "neither a Redis nor peer.nodes"},
		"emit, no Redis in FILE":    {[]string{"emit", "--config", write(t, "log: {level: warn}\n"), "hello"}, "names no Redis"},
		"emit, no namespace":        {[]string{"emit", "--redis", "redis://127.0.0.1:1", "--namespace", "chat", "hello"}, "does not begin with /"},
		"emit, empty room":          {[]string{"emit", "--redis", "redis://127.0.0.1:1", "--room", "", "hello"}, "a room has no name"},
		"bench, clients of rooms":   {[]string{"bench", "rooms", "--clients", "5"}, "--clients counts with --shared only"},
		"emit, reserved event":      {[]string{"emit", "--redis", "redis://127.0.0.1:1", "disconnect"}, "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := execute(t, tt.args...)
			if code != exitUsage || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit %d, want %d with %q; it said:\n%s", code, exitUsage, tt.want, stderr)
			}
			if stdout != "" {
				t.Errorf("standard output is for results: %s", stdout)
			}
		})
	}
}

func TestCommandLine_ShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"emit", "--redis", "redis://u:hunter2%zz@h", "note"},
		{"emit", "--redis", "redis://u:hunter2", "note"},
		{"emit", "--redis", "redis://h/hunter2", "note"},
		{"emit", "--redis", "redis://h:hunter2/0", "note"},
		{"emit", "--redis", "redis://h?dial_timeout=hunter2", "note"},
		{"emit", "--redis", "u:hunter2@h:6379", "note"},
		{"emit", "-redis=redis://u:hunter2@h", "note"},
		{"emit", "--redis", "redis://u:hunter2@127.0.0.1:1", "note"},
		{"redis://u:hunter2@h"},
		{"serve", "redis://u:hunter2@h"},
		{"config", "check", write(t, "redis: {pwd: hunter2, url: 'redis://u:hunter2%zz@h'}\nserver: {tls: {cert: hunter2, key: hunter2}}\n")},
		{"config", "check", write(t, "server: {tls: {cert: hunter2.pem, key: hunter2}}\nredis: {url: 'rediss://h', tls: {ca: hunter2, cert: hunter2, key: hunter2}}\n")},
		{"serve", "--config", write(t, "redis: {url: 'redis://h?dial_timeout=hunter2'}\n")},
	} {
		code, stdout, stderr := execute(t, args...)
		if code == exitClean || strings.Contains(strings.ReplaceAll(stdout+stderr, "hunter2.pem", ""), "hunter2") {
			t.Errorf("%q: exit %d; it said:\n%s%s", args, code, stdout, stderr)
		}
	}
}

func TestCommandLine_HelpAndVersionExitWith0(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, `Begin with "gateway dev"`},
		{[]string{"help"}, `Begin with "gateway dev"`},
		{[]string{"serve", "--help"}, "CARILLON_SERVER_ADDRESS"},
		{[]string{"config"}, "check       Validate"},
		{[]string{"emit", "-h"}, "--except"},
		{[]string{"config", "doc"}, "**`engine.ping_interval`** (duration, default `25s`)"},
		{[]string{"config", "doc", "rules"}, "# Rules"},
		{[]string{"version"}, version + "\n"},
	} {
		if code, stdout, stderr := execute(t, tt.args...); code != exitClean || !strings.Contains(stdout, tt.want) || stderr != "" {
			t.Errorf("%q: exit %d, want 0 with %q; it said:\n%s%s", tt.args, code, tt.want, stdout, stderr)
		}
	}
}

func TestConfigCheck_NamesEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	file := write(t, `engine: {ping_timeout: 0s}
server: {addres: ':1'}
log: {level: loud}
namespaces:
  "/":
    rules:
      - {event: a, name: connect, if: nope, do: [{}, {join: []}, {emit: {event: connect, to: r}}]}
      - {event: b, schema: {type: nonsense}}
`)
	_, _, stderr := execute(t, "config", "check", file)
	rules := file + `:7: namespaces["/"].rules[0]`
	for _, want := range []string{
		file + ":1: engine.ping_timeout", file + ":2: server.addres", "server.address", file + ":3: log.level",
		rules + ".name", rules + ".if", rules + ".do[0]", rules + ".do[1].join", rules + ".do[2].emit.event",
		file + `:8: namespaces["/"].rules[1].schema`,
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("does not name %s:\n%s", want, stderr)
		}
	}
	if lines := strings.Count(stderr, "\n"); lines != 9 {
		t.Errorf("%d lines for 9 faults:\n%s", lines, stderr)
	}
}

func TestConfigCheck_WarningsAreNoFaults(t *testing.T) {
	t.Parallel()
	file := write(t, "server: {origins: ['*']}\nengine: {eio3: true}\n")
	code, stdout, stderr := execute(t, "config", "check", file)
	if code != exitClean || !strings.Contains(stderr, "warning: "+file+":1: server.origins") || !strings.HasSuffix(stdout, ": ok\n") {
		t.Errorf("exit %d; it said:\n%s%s", code, stdout, stderr)
	}
}

func TestConfigExample_IsAConfiguration(t *testing.T) {
	t.Parallel()
	_, example, _ := execute(t, "config", "example")
	if code, stdout, stderr := execute(t, "config", "check", write(t, example)); code != exitClean || stderr != "" {
		t.Errorf("exit %d; it said:\n%s%s", code, stdout, stderr)
	}
	// What is commented out is right as well.
	whole := regexp.MustCompile(`(?m)^( *)# ((?:trusted_proxies|redis|  url|eio3|limits|  connections_per_ip|  handshakes):)`).ReplaceAllString(example, "$1$2")
	if code, stdout, stderr := execute(t, "config", "check", write(t, whole)); code != exitClean || stderr != "" || strings.Count(whole, "\nredis:") != 1 {
		t.Errorf("exit %d; it said:\n%s%s\n%s", code, stdout, stderr, whole)
	}
}

func TestConfigPrint_MasksSecrets(t *testing.T) {
	t.Parallel()
	file := write(t, "redis: {url: 'redis://user:hunter2@redis:6379', password: hunter3}\n")
	code, stdout, stderr := execute(t, "config", "print", file)
	if code != exitClean || strings.Contains(stdout, "hunter") || !strings.Contains(stdout, "redis://********@redis:6379") {
		t.Errorf("exit %d; it said:\n%s%s", code, stdout, stderr)
	}
	code, _, stderr = execute(t, "config", "check", write(t, stdout))
	if code != exitClean {
		t.Errorf("what was printed does not load: exit %d:\n%s", code, stderr)
	}
}

func TestQuote_MakesOneWordOfAShellCommand(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"gateway", "./bin/gateway", "/opt/my tools/gateway", "it's", "$HOME;rm", "redis://u:p&x@h?a=b", `back\slash "q"`} {
		out, err := exec.Command("sh", "-c", "printf %s "+quote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%s: the shell reads %q, %v", word, out, err)
		}
	}
	for _, word := range []string{"gateway", "redis://127.0.0.1:6379", "./cmd/gateway"} {
		if quote(word) != word {
			t.Errorf("%s needs no quotes", word)
		}
	}
}
