package docs_test

import (
	"bytes"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/test/redistest"
)

// TestPublishing_SnippetsPublish runs those whose tools the tests have at hand.
func TestPublishing_SnippetsPublish(t *testing.T) {
	text, err := os.ReadFile("publishing.md")
	if err != nil {
		t.Fatal(err)
	}
	client := redistest.Start(t).Client
	_, port, _ := net.SplitHostPort(client.Options().Addr)
	local := strings.NewReplacer("localhost:6379", client.Options().Addr, "redis-cli", "redis-cli -p "+port)
	pubsub := client.PSubscribe(t.Context(), "*")
	defer func() { _ = pubsub.Close() }()
	if _, err := pubsub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for language, command := range map[string][]string{
		"js": {"node", "--input-type=module", "-e"},
		"sh": {"sh", "-c"},
		"go": {"go", "run"},
	} {
		blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		code := local.Replace(blocks[len(blocks)-1][1])
		if language == "go" {
			code = goProgram(t, code)
		}
		cmd := exec.Command(command[0], append(command[1:], code)...)
		cmd.Dir = "../test" // where the packages of Node are
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", language, err, output)
		}
		m, err := pubsub.ReceiveTimeout(t.Context(), 10*time.Second)
		if err != nil {
			t.Fatalf("%s published nothing: %v", language, err)
		}
		published := m.(*goredis.Message)
		if published.Channel != "socket.io#/#chat:1#" {
			t.Errorf("%s: channel %s", language, published.Channel)
		}
		limits := rediswire.Limits{Bytes: 1000, Depth: 10}
		b, err := rediswire.DecodeBroadcast("/", "chat:1", []byte(published.Payload), limits)
		if err != nil || !bytes.HasPrefix(b.Args.JSON, []byte(`["message",{"text":"hello from `)) {
			t.Errorf("%s: %s, %v", language, b.Args.JSON, err)
		}
	}
}

// goProgram writes a program around a snippet, and returns its file.
func goProgram(t *testing.T, snippet string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "main.go")
	program := `package main

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/emitter"
)

func main() {
	ctx := context.Background()
	` + snippet + `
	if err != nil {
		panic(err)
	}
}
`
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPublishing_BytesAreWhatTheyAreSaidToBe(t *testing.T) {
	text, err := os.ReadFile("publishing.md")
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "    ") {
			continue
		}
		for _, word := range strings.Fields(line) {
			if _, err := hex.DecodeString(word); err != nil {
				break // what the bytes mean
			}
			digits.WriteString(word)
		}
	}
	const captured = "93a7656d697474657283a47479706502a46461746192a568656c6c6fa5776f726c64a36e7370a12f" +
		"83a5726f6f6d7390a5666c61677380a665786365707490"
	if digits.String() != captured {
		t.Errorf("the page says\n%s, the emitter sends\n%s", digits.String(), captured)
	}
	payload, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := rediswire.DecodeBroadcast("/", "", payload, rediswire.Limits{Bytes: 1000, Depth: 10})
	if err != nil || string(b.Args.JSON) != `["hello","world"]` {
		t.Errorf("%s, %v", b.Args.JSON, err)
	}
}

// TestRedis_UsersAreThoseOfTheTests: the page shows the lines that the adapter's tests run with.
func TestRedis_UsersAreThoseOfTheTests(t *testing.T) {
	page, err := os.ReadFile("redis.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../pkg/adapter/redis/acl_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tested := regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(string(source), "")
	users := regexp.MustCompile(`(?m)^    (ACL SETUSER (?:.*\\\n)*.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(users) != 3 {
		t.Fatalf("%d users on the page", len(users))
	}
	for _, user := range users {
		line := strings.Join(strings.Fields(strings.ReplaceAll(user[1], "\\\n", " ")), " ")
		if strings.Contains(line, "~carillon:up:*") {
			continue // internal/upstream's test reads it from the page
		}
		if !strings.Contains(tested, `"`+line+`"`) {
			t.Errorf("not tested: %s", line)
		}
	}
}
