package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/test/program"
)

// front is the nodes that take clients, as a balancer knows them.
type front struct {
	mu    sync.Mutex
	nodes []string
}

func (f *front) pick() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[rand.IntN(len(f.nodes))]
}

func (f *front) replace(i int, address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nodes[i] = address
}

// wanderer is a client of /orders that sends numbered events and comes back whenever its connection ends.
type wanderer struct {
	front *front
	ws    *websocket.Conn

	sid, pid string
	sids     []string // every one that it has had
	next     int
	accepted []int
	back     int // how often it came back
}

var errSentAway = errors.New("the connection ended before the answer to CONNECT")

// connect connects to some node, and brings the secret of its session.
func (w *wanderer) connect() error {
	ws, answer, err := websocket.DefaultDialer.Dial("ws://"+w.front.pick()+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	_ = ws.SetReadDeadline(time.Now().Add(patience))
	auth := ""
	if w.pid != "" {
		auth = fmt.Sprintf(`{"pid":%q}`, w.pid)
	}
	w.ws = ws
	if err := w.write("40/orders," + auth); err == nil {
		if text, err := w.read("40/orders,"); err == nil {
			var data struct{ SID, PID string }
			if err := json.Unmarshal([]byte(text), &data); err != nil {
				return fmt.Errorf("CONNECT is answered %q", text)
			}
			w.sid, w.pid = data.SID, data.PID
			if len(w.sids) == 0 || w.sids[len(w.sids)-1] != w.sid {
				w.sids = append(w.sids, w.sid)
			}
			return nil
		}
	}
	_ = ws.Close()
	return errSentAway
}

func (w *wanderer) write(text string) error {
	return w.ws.WriteMessage(websocket.TextMessage, []byte(text))
}

// read returns what follows a packet's beginning.
func (w *wanderer) read(begin string) (string, error) {
	for {
		_, data, err := w.ws.ReadMessage()
		if err != nil {
			return "", err
		}
		if text, ok := strings.CutPrefix(string(data), begin); ok {
			return text, nil
		}
		if string(data) == "2" {
			_ = w.write("3")
		}
	}
}

// order sends the next event and waits for its acknowledgement.
func (w *wanderer) order() error {
	n := w.next
	w.next++
	if err := w.write(fmt.Sprintf(`42/orders,%d["order",%d]`, n, n)); err != nil {
		return err
	}
	text, err := w.read(fmt.Sprintf("43/orders,%d", n))
	if err != nil {
		return err
	}
	if strings.HasPrefix(text, `[{"ok":true`) {
		w.accepted = append(w.accepted, n)
	}
	return nil
}

// wander sends events until stop is closed.
func (w *wanderer) wander(t *testing.T, stop <-chan struct{}) {
	again := func() {
		for late := time.Now().Add(patience); w.connect() != nil; {
			if time.Now().After(late) {
				t.Errorf("%s cannot connect any more", w.sid)
				return
			}
			time.Sleep(20 * time.Millisecond) // as clients wait
		}
	}
	again()
	for {
		select {
		case <-stop:
			return
		default:
		}
		err := w.order()
		if err == nil && rand.IntN(400) == 0 {
			_ = w.ws.NetConn().Close() // a cut besides
			err = errSentAway
		}
		if err != nil {
			_ = w.ws.Close()
			w.back++
			again()
		}
		time.Sleep(time.Millisecond)
	}
}

// TestRoll_BackendsReadOneLifeOfEachClient: three nodes are replaced, one after the other, under clients that send events.
func TestRoll_BackendsReadOneLifeOfEachClient(t *testing.T) {
	t.Parallel()
	const clients = 16
	url := startRedis(t)
	options, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	redis := goredis.NewClient(options)
	defer redis.Close()
	launch := func(name string) node {
		n := launchNodeWith(t, name, url, "ping_interval: 25s, ping_timeout: 20s", `
  /orders:
    rules: [{event: order, do: [{forward: orders}], ack: accepted}]
socketio: {recovery: {enabled: true, window: 1m}}
routes: {orders: {partitions: 2, lifecycle: true}}
`, "CARILLON_LOG_LEVEL=debug")
		n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
		return n
	}
	var nodes []node
	f := new(front)
	for i := range 3 {
		nodes = append(nodes, launch(fmt.Sprintf("node %d", i)))
		f.nodes = append(f.nodes, nodes[i].address)
	}
	known := func(want int) { // every node knows the others, as it does two heartbeats after they have come
		for _, n := range nodes {
			n.Await(func() bool {
				return strings.Count(n.Text(), `"node joined"`)-strings.Count(n.Text(), `"node gone"`) == want
			})
		}
	}
	known(2)
	stop := make(chan struct{})
	var wandering sync.WaitGroup
	all := make([]*wanderer, clients)
	for i := range all {
		all[i] = &wanderer{front: f}
		wandering.Go(func() { all[i].wander(t, stop) })
	}
	for i := range nodes {
		fresh := launch(fmt.Sprintf("its successor %d", i))
		old := nodes[i]
		nodes = append(nodes, fresh)
		known(3)
		f.replace(i, fresh.address)
		old.Stop(syscall.SIGTERM)
		nodes[i], nodes = fresh, nodes[:3]
		known(2)
	}
	close(stop)
	wandering.Wait()
	e := emitter.New(redis, emitter.Config{Namespace: "/orders"})
	for i, w := range all {
		if i%2 == 0 {
			_ = w.write("41/orders,")
			continue
		}
		if err := e.In(w.sid).DisconnectSockets(t.Context(), false); err != nil { // its id names a node that has gone
			t.Error(err)
		}
		if _, err := w.read("41/orders,"); err != nil {
			t.Errorf("client %d is not disconnected by its id %s: %v", i, w.sid, err)
		}
	}
	nodes[0].Await(func() bool {
		return redis.HLen(t.Context(), "carillon:live:{orders.0}").Val()+redis.HLen(t.Context(), "carillon:live:{orders.1}").Val() == 0
	})
	entries := map[string][]goredis.XMessage{}
	for p := range 2 {
		list, err := redis.XRange(t.Context(), fmt.Sprintf("carillon:up:{orders.%d}", p), "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			sid := fmt.Sprint(e.Values["sid"])
			entries[sid] = append(entries[sid], e)
		}
	}
	accepted, back, fresh := 0, 0, 0
	for i, w := range all {
		have, last := map[int]bool{}, -1
		for _, sid := range w.sids {
			last = life(t, sid, entries[sid], have, last)
			delete(entries, sid)
		}
		for _, n := range w.accepted {
			if !have[n] {
				t.Errorf("client %d: event %d was accepted and is not there", i, n)
			}
		}
		accepted, back, fresh = accepted+len(w.accepted), back+w.back, fresh+len(w.sids)-1
	}
	if len(entries) > 0 {
		t.Errorf("%d sockets that no client has had", len(entries))
	}
	if back == 0 || fresh > 0 {
		t.Errorf("clients came back %d times, %d times as another socket", back, fresh)
	}
	t.Logf("%d events accepted, clients came back %d times, each as the same socket", accepted, back)
}

// life checks the entries of one socket, whose events are behind a number. It returns the last event's.
func life(t *testing.T, sid string, entries []goredis.XMessage, have map[int]bool, last int) int {
	t.Helper()
	for i, e := range entries {
		want := "event"
		switch i {
		case 0:
			want = "connected"
		case len(entries) - 1:
			want = "disconnected"
		}
		if e.Values["t"] != want || e.Values["seq"] != strconv.Itoa(i+1) {
			t.Errorf("%s: entry %d of %d is %v with seq %v", sid, i+1, len(entries), e.Values["t"], e.Values["seq"])
		}
		if e.Values["t"] != "event" {
			continue
		}
		var data []int
		if err := json.Unmarshal([]byte(fmt.Sprint(e.Values["data"])), &data); err != nil || len(data) != 1 || data[0] <= last {
			t.Errorf("%s: event %v comes behind %d", sid, e.Values["data"], last)
			continue
		}
		last = data[0]
		have[last] = true
	}
	return last
}
