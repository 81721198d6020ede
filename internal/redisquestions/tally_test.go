package redisquestions

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

func list(uid string, extent rediswire.Extent) rediswire.Response {
	return rediswire.Response{UID: uid, Reply: adapter.RoomNames{}, Extent: extent}
}

func expecting(strangers int, duties map[string]redispeers.Duty) tally {
	t := newTally(adapter.AllRooms{Namespace: "/"})
	t.expected = redispeers.Expectation{Peers: duties, Strangers: strangers}
	return t
}

// A gateway that is no part of the question, because its heartbeats have lapsed, answers; the Node server has not.
func TestTally_LapsedPeerDoesNotStandInForAStranger(t *testing.T) {
	y := expecting(1, map[string]redispeers.Duty{"lapsed": redispeers.NoDuty})
	y.receive(list("lapsed", rediswire.Extent{}))
	if y.isComplete(true) {
		t.Error("complete without the Node server")
	}
	if r := y.outcome(); !slices.Equal(r.Missing, []string{Unnamed}) {
		t.Errorf("missing %q", r.Missing)
	}
	y.receive(list("", rediswire.Extent{}))
	if !y.isComplete(true) || len(y.outcome().Missing) > 0 {
		t.Errorf("missing %q", y.outcome().Missing)
	}
}

// Node's sharded servers tell their names, and a gateway may not be known yet.
func TestTally_UnknownNameIsAStranger(t *testing.T) {
	y := expecting(2, nil)
	y.receive(list("node", rediswire.Extent{}))
	y.receive(list("node", rediswire.Extent{})) // says so again
	if y.isComplete(true) {
		t.Error("complete with one of two")
	}
	y.receive(list("", rediswire.Extent{}))
	if !y.isComplete(true) {
		t.Error("not complete")
	}
}

func TestTally_AnswerInPartsIsCompleteWithTheLast(t *testing.T) {
	part := rediswire.Extent{More: true}
	for name, test := range map[string]struct {
		extents  []rediswire.Extent
		complete bool
		missing  []string
	}{
		"whole":            {[]rediswire.Extent{{}}, true, nil},
		"cut":              {[]rediswire.Extent{{Cut: true}}, true, []string{"a"}},
		"two parts":        {[]rediswire.Extent{part, part, {Parts: 2}}, true, nil},
		"last one is out":  {[]rediswire.Extent{part, part}, false, []string{"a"}},
		"a part was lost":  {[]rediswire.Extent{part, {Parts: 2}}, true, []string{"a"}},
		"only the last":    {[]rediswire.Extent{{Parts: 2}}, true, []string{"a"}},
		"parts, then cut":  {[]rediswire.Extent{part, {Parts: 1, Cut: true}}, true, []string{"a"}},
		"said twice":       {[]rediswire.Extent{{}, {Cut: true}}, true, nil},
		"nothing has come": {nil, false, []string{"a"}},
	} {
		y := expecting(0, map[string]redispeers.Duty{"a": redispeers.Awaited})
		for _, extent := range test.extents {
			y.receive(list("a", extent))
		}
		if complete := y.isComplete(true); complete != test.complete || !slices.Equal(y.outcome().Missing, test.missing) {
			t.Errorf("%s: complete %v, missing %q", name, complete, y.outcome().Missing)
		}
	}
}

func TestTally_AcknowledgementsMayOvertakeTheirNumber(t *testing.T) {
	y := newTally(adapter.BroadcastAsk{})
	y.expected = redispeers.Expectation{Peers: map[string]redispeers.Duty{"a": redispeers.Awaited}}
	y.receive(rediswire.Response{UID: "a", Reply: adapter.Acked{}})
	if y.isComplete(true) {
		t.Error("complete before the number has come")
	}
	y.receive(rediswire.Response{UID: "a", Reply: adapter.Count(2)})
	if y.isComplete(false) {
		t.Error("complete with one acknowledgement of two")
	}
	y.receive(rediswire.Response{UID: "a", Reply: adapter.Acked{}})
	if !y.isComplete(true) || len(y.outcome().Missing) > 0 {
		t.Errorf("missing %q", y.outcome().Missing)
	}
}

// world is a cluster as it really is, for a model test: what peers and tally conclude from counts and answers is held
// against it.
type world struct {
	random   *rand.Rand
	now      time.Time
	peers    *redispeers.Peers
	gateways map[string]*gateway
	servers  int // Node's
}

type gateway struct {
	subscribed, lapsed, mute bool
	silentUntil              time.Time // a question has waited for it in vain
}

func (g *gateway) isAwaited(now time.Time) bool { return !g.lapsed && !now.Before(g.silentUntil) }

func TestModel_AQuestionWaitsForWhatAnswersAndNamesTheRest(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for i := range uint64(5_000) {
		if !playModel(t, seed+i) {
			t.Fatalf("seed %d", seed+i)
		}
	}
}

// playModel plays one random story and reports whether it went well.
func playModel(t *testing.T, seed uint64) bool {
	w := &world{random: rand.New(rand.NewPCG(seed, 0)), now: time.Unix(1000, 0), peers: redispeers.NewPeers(),
		gateways: make(map[string]*gateway)}
	for step := range 12 {
		w.change()
		if problem := w.ask(); problem != "" {
			t.Errorf("step %d: %s", step, problem)
			return false
		}
	}
	return true
}

func (w *world) change() {
	for range w.random.IntN(4) {
		id := fmt.Sprint("g", w.random.IntN(4))
		g := w.gateways[id]
		switch w.random.IntN(7) {
		case 0:
			if g == nil || g.lapsed {
				w.gateways[id] = &gateway{subscribed: true}
				w.peers.Learn(redispeers.Record{ID: id}, w.now)
			}
		case 1:
			if g != nil {
				delete(w.gateways, id)
				w.peers.Learn(redispeers.Record{ID: id, Left: true}, w.now)
			}
		case 2:
			if g != nil { // its heartbeats stop, and it goes on to answer
				g.lapsed = true
				w.peers.Lose(id, w.now)
			}
		case 3:
			if g != nil {
				g.mute = !g.mute
			}
		case 4:
			if g != nil {
				g.subscribed = !g.subscribed
			}
		case 5:
			w.servers = w.random.IntN(3)
			w.peers.Settle("/", redispeers.Expectation{}, nil, 0, w.now) // forgets which were silent
		case 6:
			w.now = w.now.Add(time.Duration(w.random.IntN(40)) * time.Second)
		}
	}
}

func (w *world) count() redispeers.Subscribers {
	s := redispeers.Subscribers{Total: w.servers}
	for id, g := range w.gateways {
		if g.subscribed {
			s.Total++
			s.Present = append(s.Present, id)
		}
	}
	return s
}

// ask puts one question, with the answers in random order, and tells what was wrong with how it ended.
func (w *world) ask() string {
	y := newTally(adapter.AllRooms{Namespace: "/"})
	before := w.count()
	leaving := "" // unsubscribes after it has answered and before the nodes are counted again
	var answers []string
	for id, g := range w.gateways {
		if g.subscribed && !g.mute {
			answers = append(answers, id)
			if w.random.IntN(8) == 0 {
				leaving = id
			}
		}
	}
	for range w.servers {
		answers = append(answers, "")
	}
	w.random.Shuffle(len(answers), func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
	early := w.random.IntN(len(answers) + 1)
	for _, id := range answers[:early] {
		y.receive(list(id, rediswire.Extent{}))
	}
	if leaving != "" {
		w.gateways[leaving].subscribed = false
	}
	if w.servers > 0 && w.random.IntN(8) == 0 {
		w.servers-- // one of Node's does the same
	}
	e := w.peers.Expect("/", before, w.count(), w.now)
	y.expected = e
	for i, id := range answers[early:] {
		if y.isComplete(true) {
			for _, late := range answers[early+i:] {
				if late != leaving && (late == "" || w.gateways[late].isAwaited(w.now)) {
					return fmt.Sprintf("complete before %q has answered; expected %+v", late, e)
				}
			}
		}
		y.receive(list(id, rediswire.Extent{}))
	}
	var missing []string
	waits := false
	for id, g := range w.gateways {
		if !g.subscribed || !g.mute || g.lapsed {
			continue
		}
		missing = append(missing, id)
		if !w.now.Before(g.silentUntil) {
			waits = true
			g.silentUntil = w.now.Add(redispeers.Silence)
		}
	}
	slices.Sort(missing)
	if complete := y.isComplete(true); complete == waits {
		return fmt.Sprintf("complete %v, but waits for a mute one %v; expected %+v", complete, waits, e)
	}
	r := y.outcome()
	if !slices.Equal(r.Missing, missing) {
		return fmt.Sprintf("missing %q instead of %q", r.Missing, missing)
	}
	for _, id := range answers {
		if id != "" {
			w.peers.Answered(id)
			w.gateways[id].silentUntil = time.Time{}
		}
	}
	w.peers.Settle("/", e, r.Silent, r.SilentStrangers, w.now)
	return ""
}
