package policy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/test/await"
)

// registry is where servers enter sessions, and how they reach one another.
type registry struct {
	urls map[string]string // by tag

	mu      sync.Mutex
	entries map[string]string
}

func (r *registry) Call(ctx context.Context, tag, call string, request []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.urls[tag]+"/"+call, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s: %s", call, text)
	}
	return answer.Body, nil
}

func (r *registry) Others(context.Context) ([]string, error) { return nil, nil }

func (r *registry) Entry(_ context.Context, pid string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.entries[pid], nil
}

func (r *registry) Swap(_ context.Context, pid, from, to string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.entries[pid]; have != from && have != to {
		return false, nil
	}
	r.entries[pid] = to
	return true, nil
}

func (r *registry) Hold(string, string) {}
func (r *registry) Drop(string, string) {}

// pair is two nodes between which sessions move, and their backends.
type pair struct {
	nodes    [2]*world
	backends [2]*backends
}

func startPair(t *testing.T) *pair {
	t.Helper()
	cluster := adaptertest.NewCluster(2)
	r := &registry{urls: map[string]string{}, entries: map[string]string{}}
	key := [32]byte{1}
	p := new(pair)
	for i := range p.nodes {
		tag := fmt.Sprint("tag", i)
		s := withTokens(t, bySecret, auth.Options{})
		s.config = recovering()
		s.config.Adapter = cluster.Adapter(i)
		s.config.Engine.Tag = func() string { return tag }
		s.config.Recovery.Key, s.config.Recovery.Peers = &key, r
		p.backends[i] = &backends{}
		s.options.Backends = p.backends[i]
		p.nodes[i] = start(t, movingConfig, s)
		peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			p.nodes[i].io.ServePeer(w, r, r.URL.Path[1:], body)
		}))
		t.Cleanup(peer.Close)
		r.urls[tag] = peer.URL
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return p
}

const movingConfig = `
redis: {url: 'redis://h'}
routes: {orders: {}}
auth: {jwt: {secret: '` + secret + `'}}
namespaces:
  "/":
    disconnect: {do: [{emit: {to: watchers, event: gone, args: ["${claims.sub}", "${sid}", "${reason}"]}}]}
    rules:
      - {event: watch, do: [{join: watchers}]}
      - {event: order, do: [{forward: orders}], ack: accepted}`

// leaves connects a client of ada's to the first node, which forwards an event, and cuts its connection.
func (p *pair) leaves(t *testing.T) (sid, pid string) {
	t.Helper()
	c := p.nodes[0].dial(nil)
	sid, pid = c.secret(withToken(token(t, 0, sub("ada"))))
	if got := c.ask(`"order",1`); !strings.HasPrefix(got, `[{"ok":true`) {
		t.Fatal(got)
	}
	c.cut()
	return sid, pid
}

// comes connects a client to the second node with a pid.
func (p *pair) comes(t *testing.T, subject, pid string) (*client, string) {
	t.Helper()
	c := p.nodes[1].dial(nil)
	sid, _ := c.secret(fmt.Sprintf(`{"token":%q,"pid":%q}`, token(t, 0, sub(subject)), pid))
	return c, sid
}

func (b *backends) took() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.taken)
}

func TestMove_ASocketsWayToTheBackendsGoesOnAtTheOtherNode(t *testing.T) {
	p := startPair(t)
	sid, pid := p.leaves(t)
	c, again := p.comes(t, "ada", pid)
	if again != sid {
		t.Fatalf("ada came back as %s, not as %s", again, sid)
	}
	if got := c.ask(`"order",2`); !strings.HasPrefix(got, `[{"ok":true`) {
		t.Error(got)
	}
	there := p.backends[1]
	if !slices.Equal(there.offers, []string{`{"seq":7}`}) || len(there.opened) != 1 || there.opened[0].ID != sid || len(there.took()) != 1 {
		t.Errorf("the other node took %q of %+v, and then %q", there.offers, there.opened, there.took())
	}
	eventually(t, "the first node forgets it", func() bool {
		p.backends[0].mu.Lock()
		defer p.backends[0].mu.Unlock()
		return p.backends[0].moved == 1
	})
	if len(p.backends[0].reasons) > 0 {
		t.Errorf("it has left for %q", p.backends[0].reasons)
	}
}

func TestMove_AnotherSubjectGetsASocketOfItsOwnAndTheOneThatWaitsEndsWithItsOwnClaims(t *testing.T) {
	p := startPair(t)
	watcher := p.nodes[1].connect("/", withToken(token(t, 0, sub("watcher"))))
	if got := watcher.ask(`"watch"`); got != ok {
		t.Fatal(got)
	}
	sid, pid := p.leaves(t)
	if _, other := p.comes(t, "bob", pid); other == sid {
		t.Fatal("bob has ada's socket")
	}
	p.nodes[0].io.Of("/").To(sid).DisconnectSockets(false)
	if got, want := watcher.next(), fmt.Sprintf(`2["gone","ada",%q,"server namespace disconnect",`, sid); !strings.HasPrefix(got, want) {
		t.Errorf("the end is told as %s, want %s", got, want)
	}
	eventually(t, "backends know", func() bool {
		p.backends[1].mu.Lock()
		defer p.backends[1].mu.Unlock()
		return slices.Equal(p.backends[1].reasons, []string{"server namespace disconnect"})
	})
}

func TestMove_WhatBackendsKnowAsEndedIsAnotherSocket(t *testing.T) {
	p := startPair(t)
	p.backends[1].ended = true
	sid, pid := p.leaves(t)
	if _, fresh := p.comes(t, "ada", pid); fresh == sid {
		t.Error("a socket that has ended goes on")
	}
}

func TestMove_WhatCannotBeOfferedStays(t *testing.T) {
	p := startPair(t)
	sid, pid := p.leaves(t)
	p.backends[0].offering = errors.New("Redis is away")
	c := p.nodes[1].dial(nil)
	c.write(fmt.Sprintf(`40{"token":%q,"pid":%q}`, token(t, 0, sub("ada")), pid))
	if _, _, err := c.ws.ReadMessage(); err == nil {
		t.Fatal("the client is not sent away")
	}
	back := p.nodes[0].dial(nil)
	if again, _ := back.secret(fmt.Sprintf(`{"token":%q,"pid":%q}`, token(t, 0, sub("ada")), pid)); again != sid {
		t.Error("the socket did not stay")
	}
}

var (
	_ policy.Backends = (*backends)(nil)
	_ socketio.Peers  = (*registry)(nil)
)

// eventually waits for what happens on another goroutine.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	await.True(t, what, condition)
}
