package hub_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// remembers is a recipient without a client: an absent one that keeps what it was sent.
type remembers struct {
	hub.Member

	connected bool
	got       []string
	closed    bool // with its connection
	info      adapter.SocketInfo
}

func (r *remembers) Connected() bool { return r.connected }

func (r *remembers) Deliver(_ bool, m *wire.Message) bool {
	if !r.connected {
		return false
	}
	name, args := m.AsEvent()
	r.got = append(r.got, name+string(args.JSON))
	return true
}

func (r *remembers) Info() adapter.SocketInfo { return r.info }

func (r *remembers) Disconnect(connection bool) { r.connected, r.closed = false, connection }

// touches is an adapter that counts hints for each room.
type touches struct {
	adapter.Local
	rooms map[string]int
}

func (a *touches) Touch(_ string, names ...string) {
	for _, room := range names {
		a.rooms[room]++
	}
}

func newHub(t *testing.T, maxRooms int) (*hub.Hub, *touches) {
	t.Helper()
	counts, err := tally.New(zap.NewNop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &touches{rooms: make(map[string]int)}
	server := &hub.Server{Adapter: a, Tally: counts, MaxRooms: func() int { return maxRooms }}
	t.Cleanup(server.Wait)
	return server.New("/n", func(packet.Args, func(packet.Args)) {}), a
}

// member adds a connected recipient.
func member(t *testing.T, h *hub.Hub, id string) *remembers {
	t.Helper()
	r := &remembers{connected: true, info: adapter.SocketInfo{ID: id}}
	if !h.Add(&r.Member, id, r) {
		t.Fatalf("%s was not added", id)
	}
	return r
}

func broadcast(event string, to, except []string) adapter.Broadcast {
	return adapter.Broadcast{
		Namespace: "/n", Args: packet.Args{JSON: []byte(`["` + event + `",1]`)}, Target: rooms.Target{Rooms: to, Except: except},
	}
}

// A command means the same to every recipient, whatever is behind it.
func TestHub_CommandsReachRecipientsOfAnyKind(t *testing.T) {
	h, _ := newHub(t, 2)
	a, b, pending := member(t, h, "a"), member(t, h, "b"), member(t, h, "p")
	pending.connected = false
	for _, step := range []struct {
		do      adapter.Command
		members int
	}{
		{adapter.Join{Namespace: "/n", Target: rooms.Target{Rooms: []string{"a"}}, Rooms: []string{"r"}}, 1},
		{broadcast("r", []string{"r"}, nil), 1},
		{broadcast("all", nil, nil), 2},
		{broadcast("both once", []string{"a", "r", "b"}, nil), 2},
		{broadcast("but a", nil, []string{"a"}), 1},
		{adapter.Leave{Namespace: "/n", Target: rooms.Target{}, Rooms: []string{"r"}}, 2},
		{broadcast("r", []string{"r"}, nil), 0},
		{adapter.Disconnect{Namespace: "/n", Target: rooms.Target{Rooms: []string{"b"}}, Close: true}, 1},
		{broadcast("all", nil, nil), 1},
	} {
		if got := h.Apply(step.do); got != step.members {
			t.Errorf("%#v reached %d, want %d", step.do, got, step.members)
		}
	}
	for name, c := range map[string]struct{ got, want []string }{
		"a": {a.got, []string{"r[1]", "all[1]", "both once[1]", "all[1]"}},
		"b": {b.got, []string{"all[1]", "both once[1]", "but a[1]"}},
		"p": {pending.got, nil},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s got %q, want %q", name, c.got, c.want)
		}
	}
	if !b.closed {
		t.Error("the connection of b was not closed")
	}
}

func TestHub_AcknowledgementsOfABroadcast(t *testing.T) {
	h, _ := newHub(t, 0)
	a, b, c := member(t, h, "a"), member(t, h, "b"), member(t, h, "c")
	var replies []string
	h.Answer(adapter.BroadcastAsk{Broadcast: broadcast("q", nil, nil), Timeout: time.Hour}, func(r adapter.Reply) {
		replies = append(replies, fmt.Sprintf("%T", r))
	})
	list := packet.Args{JSON: []byte(`[1]`)}
	id := h.NextID() - 1
	if !h.Acknowledge(&a.Member, id, list) || h.Acknowledge(&a.Member, id, list) {
		t.Error("a's first acknowledgement counts, and no other")
	}
	h.Removed(&b.Member, h.Remove(&b.Member))
	if h.Acknowledge(&b.Member, id, list) {
		t.Error("b has gone")
	}
	if h.Acknowledge(&c.Member, id+1, list) || !h.Acknowledge(&c.Member, id, list) || h.Acknowledge(&c.Member, id, list) {
		t.Error("c's was the last")
	}
	if want := []string{"adapter.Count", "adapter.Acked", "adapter.Acked"}; !slices.Equal(replies, want) {
		t.Errorf("replies %q, want %q", replies, want)
	}
}

// Joins, leaves and removals in any order: rooms, their listing and the hints for the adapter agree with a simple model.
func TestHub_MembershipModel(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h, a := newHub(t, 3)
		model := map[string]map[string]bool{} // member → rooms
		members := map[string]*remembers{}
		for range 200 {
			id := fmt.Sprint("m", rng.IntN(5))
			room := fmt.Sprint("r", rng.IntN(5))
			m, in := members[id], model[id]
			hints := a.rooms[room]
			switch op := rng.IntN(4); {
			case m == nil:
				members[id], model[id] = member(t, h, id), map[string]bool{id: true}
			case op < 2:
				full := len(in) == 1+3 && !in[room]
				if err := h.Join(&m.Member, []string{room}); (err == nil) == full {
					t.Fatalf("seed %d: %s joins %s: %v", seed, id, room, err)
				} else if err == nil {
					in[room] = true
					hints++
				}
			case op == 2:
				h.Leave(&m.Member, []string{room})
				delete(in, room)
				hints++
			default:
				left := h.Remove(&m.Member)
				h.Removed(&m.Member, left)
				if len(left) != len(in) || h.Join(&m.Member, []string{room}) == nil {
					t.Fatalf("seed %d: %s leaves %q, was in %v", seed, id, left, in)
				}
				if in[room] {
					hints++
				}
				delete(model, id)
				delete(members, id)
			}
			if a.rooms[room] != hints {
				t.Fatalf("seed %d: %d hints for %s, want %d", seed, a.rooms[room], room, hints)
			}
			if h.Holds(room) != slices.ContainsFunc(keys(model), func(id string) bool { return model[id][room] }) {
				t.Fatalf("seed %d: holds %s: %v", seed, room, h.Holds(room))
			}
			for id, m := range members {
				if got := h.Rooms(nil, &m.Member); len(got) != len(model[id]) {
					t.Fatalf("seed %d: %s is in %q, want %v", seed, id, got, model[id])
				}
			}
		}
	}
}

func keys(m map[string]map[string]bool) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

// A namespace that does not exist on a node has something to answer all the same, or the one that asks would wait.
func TestHub_NoneAnswersEveryQuery(t *testing.T) {
	var none *hub.Hub
	for _, q := range []adapter.Query{
		adapter.FetchSockets{}, adapter.AllRooms{}, adapter.ServerAsk{}, adapter.BroadcastAsk{Timeout: time.Hour},
	} {
		replies := 0
		none.Answer(q, func(adapter.Reply) { replies++ })
		if replies != 1 {
			t.Errorf("%T: %d replies", q, replies)
		}
	}
}
