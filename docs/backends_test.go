package docs_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/test/redistest"
)

func backendsPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("backends.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// forwarded writes an entry as gateways do, and returns a function that waits for an answer to it.
func forwarded(t *testing.T, client *goredis.Client, token string) (answer func() map[string]any) {
	t.Helper()
	ctx := context.Background()
	pipe := client.Pipeline()
	pipe.HSet(ctx, "carillon:routes", "orders", 1)
	pipe.XAdd(ctx, &goredis.XAddArgs{Stream: "carillon:in:{n}", ID: "0-1", Values: []string{"t", "open"}})
	pipe.XAdd(ctx, &goredis.XAddArgs{Stream: "carillon:up:{orders.0}", Values: []string{
		"v", "1", "t", "event", "nsp", "/", "sid", "s", "seq", "1", "node", "n", "ts", "1700000000000", "ev", "order:new", "data", "[1]",
		"ack", token, "dl", "1700000010000",
	}})
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	return func() map[string]any {
		streams, err := client.XRead(ctx, &goredis.XReadArgs{Streams: []string{"carillon:in:{n}"}, ID: "0-1", Block: time.Minute}).Result()
		if err != nil {
			t.Fatal(err)
		}
		return streams[0].Messages[0].Values
	}
}

func TestBackends_TenLinesWorkWhenPasted(t *testing.T) {
	code := regexp.MustCompile("(?s)```python\n(.*?)```").FindStringSubmatch(backendsPage(t))[1]
	if n := strings.Count(code, "\n"); n > 10 {
		t.Errorf("they are %d lines", n)
	}
	client := redistest.Start(t).Client
	answer := forwarded(t, client, "token")
	_, port, _ := strings.Cut(client.Options().Addr, ":")
	cmd := exec.Command("../test/.venv/bin/python", "-c", strings.Replace(code, "redis.Redis(", "redis.Redis(port="+port+", ", 1))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	defer func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log(said.String())
		}
	}()
	if got := answer(); got["a"] != "token" || got["data"] != `[{"ok": true}]` {
		t.Errorf("answer %v", got)
	}
	for deadline := time.Now().Add(time.Minute); client.XPending(t.Context(), "carillon:up:{orders.0}", "backend").Val().Count > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the entry is not acknowledged")
		}
	}
}

// TestBackends_UserHasTheRightsItNeeds runs the Go consumer and an emitter as the user of the page.
func TestBackends_UserHasTheRightsItNeeds(t *testing.T) {
	line := regexp.MustCompile(`(?m)^    ACL SETUSER (backend .*)$`).FindStringSubmatch(backendsPage(t))[1]
	admin := redistest.Start(t).Client
	args := []any{"ACL", "SETUSER"}
	for _, word := range strings.Fields(strings.Replace(line, ">…", ">secret", 1)) {
		args = append(args, word)
	}
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	answer := forwarded(t, admin, "token")
	client := goredis.NewClient(&goredis.Options{Addr: admin.Options().Addr, Username: "backend", Password: "secret"})
	defer func() { _ = client.Close() }()
	consumer, err := backend.New(client, backend.Config{Route: "orders", MaxAttempts: 1, Handler: backend.HandlerFunc(
		func(context.Context, *backend.Entry) backend.Verdict {
			return backend.Dead(errors.New("for once")).Refuse("no", "not today")
		})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- consumer.Run(ctx) }()
	if got := answer(); got["data"] != `[{"ok":false,"error":{"code":"no","message":"not today"}}]` {
		t.Errorf("answer %v", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := admin.XLen(t.Context(), "carillon:dead:{orders}").Val(); n != 1 {
		t.Errorf("%d dead letters", n)
	}
	if holder := admin.HGet(t.Context(), "carillon:lease:{orders.0}:backend", "holder").Val(); holder != "" {
		t.Errorf("the lease is held: %q", holder)
	}
	io := emitter.New(client, emitter.Config{})
	if _, err := io.EmitWithAck(t.Context(), "question"); err != nil {
		t.Error(err)
	}
	if err := io.In("room").SocketsJoin(t.Context(), "other"); err != nil {
		t.Error(err)
	}
}
