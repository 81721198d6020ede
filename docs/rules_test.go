package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

// example is a configuration of the page and what its clients do.
type example struct {
	line   int // of the configuration
	config string
	script []string
}

var fenced = regexp.MustCompile("(?ms)^```(yaml|text)\n(.*?)^```$")

// examples finds the pairs of a configuration and a script.
func examples(t *testing.T, page string) []example {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var found []example
	for _, at := range fenced.FindAllSubmatchIndex(text, -1) {
		kind, body := string(text[at[2]:at[3]]), string(text[at[4]:at[5]])
		line := 1 + bytes.Count(text[:at[4]], []byte("\n"))
		if kind == "yaml" {
			found = append(found, example{line: line, config: body})
		} else {
			last := &found[len(found)-1]
			last.script = strings.Split(strings.TrimSpace(body), "\n")
		}
	}
	return found
}

func TestRules_ExamplesDoWhatThePageSays(t *testing.T) {
	all := examples(t, "rules.md")
	if len(all) < 8 {
		t.Fatalf("only %d examples found", len(all))
	}
	for _, e := range all {
		t.Run(fmt.Sprintf("line %d", e.line), func(t *testing.T) {
			cfg, warnings, err := config.Load(config.Source{File: []byte(e.config), Rules: policy.Check})
			if err != nil || len(warnings) > 0 {
				t.Fatalf("%v %v", err, warnings)
			}
			if len(e.script) == 0 {
				t.Fatal("nobody tries it")
			}
			s := scene{t: t, url: serve(t, cfg), jwt: cfg.Auth.JWT, clients: map[string]*socketiotest.Client{}}
			for i, line := range e.script {
				s.play(line, i)
			}
			for name, c := range s.clients {
				if t.Failed() {
					return
				}
				s.line = "at the end, " + name
				c.ExpectNone()
			}
		})
	}
}

// serve runs a gateway and returns its URL.
func serve(t *testing.T, cfg config.Config) string {
	t.Helper()
	var listeners [2]net.Listener
	for i := range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[i] = l
	}
	cfg.Drain = config.Drain{}
	g, err := gateway.New(gateway.Options{Config: cfg, Clients: listeners[0], Ops: listeners[1]})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listeners[0].Addr().String()
}

// scene is an example being played.
type scene struct {
	t       *testing.T
	url     string
	jwt     config.JWT
	clients map[string]*socketiotest.Client
	line    string
}

var (
	connects = regexp.MustCompile(`^(\w+) connects(?: to (\S+))?(?: with token (\{.*?\}))?(?: (\{.*?\}))?(?: +→ (.*))?$`)
	sends    = regexp.MustCompile(`^(\w+): (\S+)(.*?) +→ (.*)$`)
	receives = regexp.MustCompile(`^(\w+) receives (\S+)(.*)$`)
	leaves   = regexp.MustCompile(`^(\w+) leaves$`)
	refusal  = regexp.MustCompile(`^([a-z_]+) (".*")$`)
)

func (s *scene) play(line string, at int) {
	s.t.Helper()
	s.line = fmt.Sprintf("line %d of the script: %s", at+1, line)
	for name, c := range s.clients {
		line = strings.ReplaceAll(line, "{"+name+".sid}", c.ID())
	}
	if m := connects.FindStringSubmatch(line); m != nil {
		s.connect(m[1], m[2], m[3], m[4], m[5])
	} else if m := sends.FindStringSubmatch(line); m != nil {
		s.send(m[1], m[2], m[3], m[4])
	} else if m := receives.FindStringSubmatch(line); m != nil {
		e := s.clients[m[1]].Receive()
		s.equal(append([]any{e.Name}, s.values(string(e.Args.JSON))[0].([]any)...), append([]any{m[2]}, s.values(m[3])...))
	} else if m := leaves.FindStringSubmatch(line); m != nil {
		s.clients[m[1]].Disconnect()
		delete(s.clients, m[1])
	} else {
		s.t.Fatal(s.line + ": what is that?")
	}
}

func (s *scene) connect(name, namespace, claims, payload, want string) {
	s.t.Helper()
	options := socketiotest.Options{Namespace: namespace}
	if payload != "" {
		options.Auth = json.RawMessage(payload)
	}
	if claims != "" {
		token, err := auth.Sign(s.jwt, s.values(claims)[0].(map[string]any), time.Hour)
		if err != nil {
			s.t.Fatalf("%s: %v", s.line, err)
		}
		options.Header = http.Header{"Authorization": {"Bearer " + token}}
	}
	if want == "" {
		s.clients[name] = socketiotest.Dial(s.t, s.url, options)
		return
	}
	got := socketiotest.DialRefused(s.t, s.url, options)
	if m := refusal.FindStringSubmatch(want); m != nil {
		s.equal(s.values(string(got.Data)), s.values(`{"code":"`+m[1]+`","message":`+m[2]+`}`))
		want = m[2]
	}
	s.equal([]any{got.Message}, s.values(want))
}

func (s *scene) send(name, event, args, want string) {
	s.t.Helper()
	got := s.clients[name].EmitWithAck(event, s.values(args)...)
	if m := refusal.FindStringSubmatch(want); m != nil {
		want = `{"ok":false,"error":{"code":"` + m[1] + `","message":` + m[2] + `}}`
	}
	s.equal(s.values(string(got.JSON))[0].([]any), s.values(want))
}

// values reads JSON values that stand one behind the other.
func (s *scene) values(text string) []any {
	s.t.Helper()
	values := []any{}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	for {
		var v any
		if err := decoder.Decode(&v); errors.Is(err, io.EOF) {
			return values
		} else if err != nil {
			s.t.Fatalf("%s: %q: %v", s.line, text, err)
		}
		values = append(values, v)
	}
}

func (s *scene) equal(got, want []any) {
	s.t.Helper()
	if !reflect.DeepEqual(got, want) {
		s.t.Fatalf("%s: got %v", s.line, got)
	}
}

func TestReadme_ItsConfigurationLoads(t *testing.T) {
	all := examples(t, "../README.md")
	if len(all) != 1 {
		t.Fatalf("%d configurations", len(all))
	}
	if _, warnings, err := config.Load(config.Source{File: []byte(all[0].config), Rules: policy.Check}); err != nil || len(warnings) > 0 {
		t.Error(err, warnings)
	}
}

func TestReadme_LeadsToEveryPage(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !bytes.Contains(readme, []byte("(docs/"+page+")")) {
			t.Errorf("no way to docs/%s", page)
		}
	}
}

func TestRules_ThePageHasEveryWordOfTheLanguage(t *testing.T) {
	text, err := os.ReadFile("rules.md")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{
		string(policy.Denied), string(policy.Invalid), string(policy.Overloaded), string(policy.Unavailable), config.AckAccepted, config.AckBackend,
		config.RequireToken, config.RequireAnyone, config.DisconnectNamespace, config.DisconnectConnection,
	}
	for _, verb := range []config.Verb{
		config.VerbJoin, config.VerbLeave, config.VerbEmit, config.VerbBroadcast, config.VerbReply, config.VerbForward, config.VerbDisconnect,
	} {
		words = append(words, string(verb)+":")
	}
	for _, place := range []expression.Place{expression.InConnect, expression.InRule, expression.InDisconnect} {
		for _, name := range expression.VariablesOf(place) {
			words = append(words, "`"+name+"`")
		}
	}
	for _, section := range []any{config.Namespace{}, config.Connect{}, config.Disconnect{}, config.Rule{}, config.Emit{}} {
		for i, typ := 0, reflect.TypeOf(section); i < typ.NumField(); i++ {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("key"), ",")
			words = append(words, key)
		}
	}
	for _, word := range words {
		if !bytes.Contains(text, []byte(word)) {
			t.Errorf("the page does not have %s", word)
		}
	}
}
