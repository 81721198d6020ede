package socketio_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// entries is what servers enter sessions in.
type entryTable struct {
	mu      sync.Mutex
	entries map[string]string
	held    map[string]string // by the servers, which renew them
	away    bool

	before, after func(to string)      // called around each Swap; nil: nothing is
	holding       func()               // called by each Hold; likewise
	unknown       func(to string) bool // whether the outcome of a Swap is not known; nil: of none
}

var errRegistry = fmt.Errorf("the entries cannot be read")

// peers are the other servers, as one of them reaches them.
type peersOf struct {
	*entryTable

	own  string
	urls map[string]string // by tag
	lost func(call string) bool

	hangs func(tag string) // called before each call
}

func (p *peersOf) Call(ctx context.Context, tag, call string, request []byte) (io.ReadCloser, error) {
	url, ok := p.urls[tag]
	if !ok {
		return nil, socketio.ErrNoPeer
	}
	if p.hangs != nil {
		p.hangs(tag)
	}
	if p.lost != nil && p.lost(call) {
		return nil, io.ErrUnexpectedEOF
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/"+call, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%w: %s: %s %s", socketio.ErrDeclined, call, answer.Status, text)
	}
	return answer.Body, nil
}

func (p *peersOf) Others(context.Context) (tags []string, err error) {
	for tag := range p.urls {
		if tag != p.own {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags, nil
}

func (r *entryTable) Entry(_ context.Context, pid string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return "", errRegistry
	}
	return r.entries[pid], nil
}

func (r *entryTable) Swap(_ context.Context, pid, from, to string) (bool, error) {
	if r.before != nil {
		r.before(to)
	}
	if r.after != nil {
		defer r.after(to)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch have := r.entries[pid]; {
	case r.away:
		return false, errRegistry
	case have == to:
		return true, nil
	case have != from:
		return false, nil
	}
	r.entries[pid] = to
	if r.unknown != nil && r.unknown(to) {
		return false, errRegistry
	}
	return true, nil
}

func (r *entryTable) setAway(away bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

func (r *entryTable) Hold(pid, entry string) {
	if r.holding != nil {
		r.holding()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[pid] = entry
}

// holds is how many entries the servers hold.
func (r *entryTable) holds() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held)
}

func (r *entryTable) Drop(pid, entry string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held[pid] == entry {
		delete(r.held, pid)
	}
	if r.entries[pid] == entry {
		delete(r.entries, pid)
	}
}

// several are servers between which sessions move.
type several struct {
	nodes []*socketio.Server
	urls  []string
	peers []*peersOf
	log   *entryTable
}

func severally(t *testing.T, start starter, n int, change func(*socketio.Config)) *several {
	t.Helper()
	s := &several{log: &entryTable{entries: map[string]string{}, held: map[string]string{}}}
	configs := make([]socketio.Config, n)
	byTag := map[string]string{}
	key := [32]byte{1}
	servers := make([]*socketio.Server, n) // for the handlers, which are asked only later
	for i := range configs {
		tag := fmt.Sprint("tag", i)
		configs[i] = recovering()
		configs[i].Engine.Tag = func() string { return tag }
		p := &peersOf{entryTable: s.log, own: tag, urls: byTag}
		s.peers = append(s.peers, p)
		configs[i].Recovery.Peers, configs[i].Recovery.Key = p, &key
		if change != nil {
			change(&configs[i])
		}
		listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			servers[i].ServePeer(w, r, r.URL.Path[1:], body)
		}))
		t.Cleanup(listener.Close)
		byTag[tag] = listener.URL
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	s.nodes, s.urls = start(configs...)
	copy(servers, s.nodes)
	return s
}

func TestMove_AClientComesBackToAnotherNode(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) { comesBackToAnotherNode(t, severally(t, start, 3, nil)) })
}

func comesBackToAnotherNode(t *testing.T, s *several) {
	connected := make([]<-chan *socketio.Socket, 3)
	for i, n := range s.nodes {
		connected[i] = sockets(n.Of("/"))
	}
	c := arrive(t, s.urls[0], "/")
	socket := receive(t, connected[0])
	done, confirmed := settled()
	socket.JoinThen(done, "a", "b")
	if err := receive(t, confirmed); err != nil {
		t.Fatal(err)
	}
	socket.SetData(map[string]int{"n": 7})
	id := c.sid
	emit(t, s.nodes[0].Of("/").To("a"), "1")
	c.expectEvents(`["1"]`)
	for round := range 7 {
		at := (round + 1) % 3
		c.hangup()
		gone(t, socket)
		emit(t, s.nodes[at].Of("/").To("a"), "from", at)
		emit(t, s.nodes[(at+1)%3].Of("/").To(id), "from", (at+1)%3)
		c.url = s.urls[at]
		if !c.back() || c.sid != id {
			t.Fatalf("round %d: not recovered: %s", round, c.sid)
		}
		socket = receive(t, connected[at])
		if !socket.Recovered() || !socket.In("a") || !socket.In("b") || !socket.In(id) {
			t.Fatalf("round %d: rooms %q", round, socket.Rooms(nil))
		}
		got := []string{c.next(), c.next()}
		slices.Sort(got)
		want := []string{fmt.Sprintf(`["from",%d]`, at), fmt.Sprintf(`["from",%d]`, (at+1)%3)}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: got %q, want %q", round, got, want)
		}
		for i := range s.nodes {
			emit(t, s.nodes[i].Of("/").To("b"), "live", i)
			c.expectEvents(fmt.Sprintf(`["live",%d]`, i))
		}
		if err := socket.Emit("own"); err != nil {
			t.Fatal(err)
		}
		c.expectEvents(`["own"]`)
	}
	for i, n := range s.nodes {
		if got := n.Of("/").Sockets(); (got == 1) != (i == 1) {
			t.Errorf("node %d has %d sockets", i, got)
		}
	}
}

// stream is what one client has received from each publisher.
type stream struct {
	t    testing.TB
	next map[int]int
	end  int
}

// take takes an event ["n",publisher,number], and reports whether all publishers have ended, or one of them is at fault.
func (s *stream) take(event string) (over bool) {
	s.t.Helper()
	var publisher, number int
	if _, err := fmt.Sscanf(event, `["n",%d,%d]`, &publisher, &number); err != nil {
		s.t.Errorf("received %s", event)
		return true
	}
	if number != s.next[publisher] {
		s.t.Errorf("received %d of publisher %d, want %d", number, publisher, s.next[publisher])
		return true
	}
	s.next[publisher]++
	for _, n := range s.next {
		if n < s.end {
			return false
		}
	}
	return true
}

func TestMove_UnderLoadNothingIsLostOrRepeated(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) { underLoad(t, severally(t, start, 3, nil)) })
}

func underLoad(t *testing.T, s *several) {
	const each, clients = 300, 6
	joined := make(chan error, 2*clients) // a client that is not recovered does not go on
	for _, n := range s.nodes {
		n.Of("/").OnConnect(func(s *socketio.Socket) {
			if !s.Recovered() {
				s.JoinThen(func(err error) { joined <- err }, "a")
			}
		})
	}
	all := make([]*returning, clients)
	for i := range all {
		all[i] = arrive(t, s.urls[i%3], "/")
	}
	for range all {
		if err := receive(t, joined); err != nil {
			t.Fatal(err)
		}
	}
	var publishing, receiving sync.WaitGroup
	for i, n := range s.nodes {
		publishing.Go(func() {
			for k := range each {
				if err := n.Of("/").To("a").Emit("n", i, k); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Duration(k%4) * 500 * time.Microsecond) // a pace, which nothing relies on
			}
		})
	}
	for i, c := range all {
		receiving.Go(func() {
			got := &stream{t: t, next: map[int]int{0: 0, 1: 0, 2: 0}, end: each}
			for n := 0; !got.take(c.next()); n++ {
				if n%(20+7*i) == 19 {
					c.hangup()
					// A busy server may close the transport instead of an answer, upon which clients come again.
					if _, recovered := c.tries(t, s.urls[(n/7+i)%3]); !recovered {
						t.Error("not recovered")
						return
					}
				}
			}
		})
	}
	publishing.Wait()
	receiving.Wait()
}

// inRoom connects a client to the first server and puts it into the room "a". It returns what the client's socket is there.
func (s *several) inRoom(t *testing.T) (*returning, *socketio.Socket) {
	t.Helper()
	connected := sockets(s.nodes[0].Of("/"))
	c := arrive(t, s.urls[0], "/")
	socket := receive(t, connected)
	if err := socket.Join("a"); err != nil {
		t.Fatal(err)
	}
	emit(t, s.nodes[0].Of("/").To("a"), "1")
	c.expectEvents(`["1"]`)
	return c, socket
}

// away cuts the client, and emits something that it misses.
func (s *several) away(t *testing.T, c *returning, socket *socketio.Socket) {
	t.Helper()
	c.hangup()
	gone(t, socket)
	emit(t, s.nodes[0].Of("/").To("a"), "2")
}

func inMemory(t *testing.T, n int, change func(*socketio.Config)) *several {
	t.Helper()
	return severally(t, func(configs ...socketio.Config) ([]*socketio.Server, []string) {
		nodes, urls, _ := memoryCluster(t, configs...)
		return nodes, urls
	}, n, change)
}

func TestMove_AServerThatLeavesHandsOverWhatIsLeft(t *testing.T) {
	s := inMemory(t, 2, func(cfg *socketio.Config) { cfg.DrainWindow = time.Millisecond })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	if err := s.nodes[0].Shutdown(within(t)); err != nil {
		t.Fatal(err)
	}
	delete(s.peers[1].urls, "tag0")
	emit(t, s.nodes[1].Of("/").To("a"), "3")
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`, `["3"]`)
}

func TestMove_TheOwnerFindsOutWhenItIsNotTold(t *testing.T) {
	s := inMemory(t, 3, func(cfg *socketio.Config) { cfg.Recovery.MoveTimeout = time.Second })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	for _, p := range s.peers {
		p.lost = func(call string) bool { return call == "done" }
	}
	connected := sockets(s.nodes[1].Of("/"))
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
	c.hangup()
	gone(t, receive(t, connected))
	emit(t, s.nodes[2].Of("/").To("a"), "3")
	c.url = s.urls[0] // which still takes the session for one that may be its own
	if !c.back() {
		t.Fatal("not recovered where the session began")
	}
	c.expectEvents(`["3"]`)
}

func TestMove_WithoutTheRegistryTheClientTriesAgain(t *testing.T) {
	s := inMemory(t, 2, nil)
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	s.log.setAway(true)
	c.sentAway(t, s.urls[1])
	s.log.setAway(false)
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
}

func TestMove_WhileItIsNotKnownWhoseTheSessionIsTheClientTriesAgain(t *testing.T) {
	s := inMemory(t, 2, func(cfg *socketio.Config) { cfg.Recovery.MoveTimeout = time.Second })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	var cuts atomic.Int32
	s.peers[1].lost = func(call string) bool {
		if call == "cut" && cuts.Add(1) == 1 { // its answer comes all the same
			s.log.setAway(true)
		}
		return false
	}
	c.sentAway(t, s.urls[1])
	c.sentAway(t, s.urls[0])
	s.log.setAway(false)
	eventually(t, "the owner has found out that it keeps the session", func() bool {
		entry, _ := s.log.Entry(t.Context(), c.pid)
		return entry != ""
	})
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
}

// TestMove_AnEntryOfWhichTheNodeDoesNotKnowIsGivenBack: the session stays where it was, and moves with the next claim.
func TestMove_AnEntryOfWhichTheNodeDoesNotKnowIsGivenBack(t *testing.T) {
	for at := range 3 {
		t.Run(fmt.Sprint("back at ", at), func(t *testing.T) {
			s := inMemory(t, 3, nil)
			c, socket := s.inRoom(t)
			s.away(t, c, socket)
			var asked atomic.Int32
			s.log.unknown = func(to string) bool { return to == "tag1 1" && asked.Add(1) == 1 }
			c.sentAway(t, s.urls[1])
			for c.url = s.urls[at]; ; {
				c.peer = dial(t, c.url)
				c.send("40" + c.claim())
				if _, data, err := c.ws.ReadMessage(); err == nil {
					if !strings.Contains(string(data), c.pid) {
						t.Fatalf("not recovered: %s", data)
					}
					break
				}
			}
			c.expectEvents(`["2"]`)
		})
	}
}

func TestMove_ANewSocketWhereTheSessionCannotCome(t *testing.T) {
	for name, prevent := range map[string]func(*several, *socketio.Socket){
		"its server is gone":      func(s *several, _ *socketio.Socket) { delete(s.peers[1].urls, "tag0") },
		"Data that is no JSON":    func(_ *several, socket *socketio.Socket) { socket.SetData(make(chan int)) },
		"the session has expired": func(s *several, _ *socketio.Socket) { s.nodes[0].Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := inMemory(t, 2, nil)
			c, socket := s.inRoom(t)
			s.away(t, c, socket)
			prevent(s, socket)
			c.url = s.urls[1]
			if before := c.sid; c.back() || c.sid == before {
				t.Error("recovered")
			}
		})
	}
}

func TestMove_ACommandThatDisconnectsTheAbsentSocketIsToldOnce(t *testing.T) {
	s := inMemory(t, 3, nil)
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	s.nodes[2].Of("/").To(c.sid).DisconnectSockets(false)
	eventually(t, "the session has ended", func() bool { return len(socket.Rooms(nil)) == 0 })
	c.dialAny(t, s.urls[1])
	c.expect("41")
}

// dialAny claims the session at another server, and reads the answer whatever it is.
func (c *returning) dialAny(t testing.TB, url string) {
	t.Helper()
	c.peer = dial(t, url)
	c.send("40" + c.claim())
	c.answered()
}

// sentAway claims the session at a server, which has to close the connection.
func (c *returning) sentAway(t testing.TB, url string) {
	t.Helper()
	c.peer = dial(t, url)
	c.send("40" + c.claim())
	if err := c.ended(); err == nil {
		t.Fatalf("the server at %s did not close the transport", url)
	}
}

// ended reads until the connection ends, and returns how.
func (c *returning) ended() error {
	for range 10 {
		if _, _, err := c.ws.ReadMessage(); err != nil {
			return err
		}
	}
	return nil
}
