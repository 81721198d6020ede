package redispeers

import (
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// records is a register in a Redis whose clock is the test's.
type records struct {
	register
	t      *testing.T
	server *miniredis.Miniredis
	now    time.Time
	since  map[string]string
}

func newRecords(t *testing.T) *records {
	t.Helper()
	server := miniredis.RunT(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	r := &records{register: register{client: client, keys: nodeKeys{prefix: "carillon"}}, t: t, server: server,
		now: time.Unix(1_000_000, 0), since: make(map[string]string)}
	r.pass(0)
	return r
}

func (r *records) pass(d time.Duration) {
	r.now = r.now.Add(d)
	r.server.SetTime(r.now)
	r.server.FastForward(d)
}

// beat is one heartbeat, and tells what it brought: joined nodes by their name, lapsed ones with a minus, and "?" when
// what was known last is not in the stream any more.
func (r *records) beat(id string) (news []string) {
	r.t.Helper()
	_, changes, err := r.register.beat(r.t.Context(), Record{ID: id}, false, r.since[id])
	if err != nil {
		r.t.Fatal(err)
	}
	if r.since[id] == "" || len(changes) == 0 || changes[0].at != r.since[id] {
		news = append(news, "?")
	} else {
		changes = changes[1:]
	}
	for _, c := range changes {
		r.since[id] = c.at
		if c.text == "" {
			news = append(news, "-"+c.node)
		} else {
			news = append(news, c.node)
		}
	}
	return news
}

func (r *records) expect(id string, want ...string) {
	r.t.Helper()
	if news := r.beat(id); !slices.Equal(news, want) {
		r.t.Errorf("%s reads %q, want %q", id, news, want)
	}
}

func TestRegister_TellsChangesOnce(t *testing.T) {
	r := newRecords(t)
	r.expect("a", "?", "a")
	r.expect("b", "?", "b")
	r.expect("a", "b")
	r.expect("a")
	r.expect("b")
	r.pass(heartbeatInterval)
	if _, _, err := r.register.beat(t.Context(), Record{ID: "b", Deaf: true}, true, ""); err != nil {
		t.Fatal(err)
	}
	r.expect("a", "b")
	if err := r.leave(t.Context(), Record{ID: "b"}); err != nil {
		t.Fatal(err)
	}
	r.expect("a", "b") // its last record
	all, err := r.all(t.Context(), "a")
	if err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// A node whose heartbeats have stopped is removed by any other, once.
func TestRegister_NodeLapses(t *testing.T) {
	r := newRecords(t)
	for _, id := range []string{"a", "b", "c"} {
		r.beat(id)
	}
	r.expect("a", "b", "c")
	r.expect("b", "c")
	for range heartbeatExpiry/heartbeatInterval - 1 {
		r.pass(heartbeatInterval)
		r.expect("a")
		r.expect("b")
	}
	r.pass(heartbeatInterval)
	r.expect("b", "-c")
	r.expect("a", "-c")
	r.expect("a")
	r.expect("c", "-c", "c") // it was only late
	r.expect("a", "c")
}

// When no node has sent a heartbeat for a while, Redis was away or stood still, and all records look old.
func TestRegister_StandstillIsNotTheNodesFault(t *testing.T) {
	for name, jump := range map[string]time.Duration{"stood still": time.Minute, "clock set back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRecords(t)
			for _, id := range []string{"a", "b", "c"} {
				r.beat(id)
			}
			r.beat("a")
			r.beat("b")
			if jump < 0 { // other servers have other clocks
				r.now = r.now.Add(jump)
				r.server.SetTime(r.now)
			} else {
				r.pass(jump)
			}
			for range heartbeatExpiry/heartbeatInterval - 1 {
				r.expect("a")
				r.expect("b")
				r.pass(heartbeatInterval)
			}
			if jump < 0 {
				return // the record of c is from the future
			}
			r.pass(heartbeatInterval)
			r.expect("a", "-c") // it had time to come back
			r.expect("b", "-c")
		})
	}
}

func TestRegister_TagBelongsToTheFirst(t *testing.T) {
	r := newRecords(t)
	claim := func(id string) string {
		holder, _, err := r.register.beat(t.Context(), Record{ID: id, Tags: []string{"TAGa", "TAGb"}}, false, "")
		if err != nil {
			t.Fatal(err)
		}
		return holder
	}
	if first, second := claim("a"), claim("b"); first != "a" || second != "a" {
		t.Errorf("belongs to %q and %q", first, second)
	}
	if owner, ok, err := r.owner(t.Context(), "TAGa"); owner.ID != "a" || !ok || err != nil {
		t.Errorf("owner %v, %v", owner, err)
	}
	if err := r.leave(t.Context(), Record{ID: "b", Tags: []string{"TAGa"}}); err != nil {
		t.Fatal(err)
	}
	if holder := claim("c"); holder != "a" {
		t.Errorf("belongs to %q after another node left", holder)
	}
	r.pass(heartbeatExpiry)
	if holder := claim("b"); holder != "b" {
		t.Errorf("belongs to %q after the claim ran out", holder)
	}
}

// follower is a membership without heartbeats of its own, which reads what a register brings.
func (r *records) follower(id string, gone func(string)) *Membership {
	return New(Config{
		Client: r.client, Prefix: r.keys.prefix, ID: id,
		Describe: func() Record { return Record{ID: id} },
		Gone:     gone,
		Logger:   zap.NewNop(),
		Nodes:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "nodes"}),
	})
}

func (m *Membership) count() int { return int(testutil.ToFloat64(m.Nodes)) }

// A node that has missed more changes than the stream keeps reads all records, and so it does when the stream is gone.
func TestMembership_MissedChangesAreMadeUpFor(t *testing.T) {
	for name, lose := range map[string]func(r *records){
		"too many changes": func(r *records) {
			for range 2 * maxChanges {
				if _, err := r.server.XAdd(r.keys.changes(), "*", []string{"node", "busy", "record", `{"id":"busy"}`}); err != nil {
					t.Fatal(err)
				}
			}
		},
		"stream lost": func(r *records) { r.server.Del(r.keys.changes()) },
		"all lost":    func(r *records) { r.server.FlushAll() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecords(t)
			var gone []string
			m := r.follower("m", func(id string) { gone = append(gone, id) })
			beat := func(want int) {
				t.Helper()
				if err := m.exchange(t.Context(), m.self()); err != nil {
					t.Fatal(err)
				}
				if n := m.count(); n != want {
					t.Errorf("%d nodes, want %d", n, want)
				}
			}
			r.beat("a")
			r.beat("busy")
			beat(3)
			r.pass(time.Second)
			lose(r)
			r.beat("a")
			r.beat("busy")
			r.beat("new")
			beat(4)
			beat(4)
			if _, _, err := r.register.beat(t.Context(), Record{ID: "a", Deaf: true}, true, ""); err != nil {
				t.Fatal(err)
			}
			beat(4)
			if !m.byID["a"].Deaf || len(gone) != 0 {
				t.Errorf("a is %+v, gone %q", m.byID["a"], gone)
			}
			if err := r.leave(t.Context(), Record{ID: "a"}); err != nil {
				t.Fatal(err)
			}
			beat(3)
			if !slices.Equal(gone, []string{"a"}) {
				t.Errorf("gone %q", gone)
			}
		})
	}
}

func TestMembership_OddEntriesAreLeftOut(t *testing.T) {
	r := newRecords(t)
	m := r.follower("m", func(string) {})
	for range 2 {
		if err := m.exchange(t.Context(), m.self()); err != nil {
			t.Fatal(err)
		}
		for _, values := range [][]string{
			{"node", "x", "record", "{"}, {"node", "x", "record", `{"id":"y"}`}, {"other", "x"}, {"node", "", "record", ""},
			{"node", "m", "record", ""}, {"node", "x", "record", `{"id":"x","tags":["a","b","c","d","e"]}`},
		} {
			if _, err := r.server.XAdd(r.keys.changes(), "*", values); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := m.exchange(t.Context(), m.self()); err != nil {
		t.Fatal(err)
	}
	if n := m.count(); n != 1 {
		t.Errorf("%d nodes", n)
	}
}
