package redis

import (
	"errors"
	"testing"

	goredis "github.com/redis/go-redis/v9"
)

func TestQueue_LaneTakesItsSlotsAndNoneThatAnotherHasInTheAir(t *testing.T) {
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b := newLane(), newLane()
	owner := map[uint16]*lane{1: a, 2: b}
	q := newQueue(Queue{Messages: 10, Bytes: 1000, Age: 1 << 40}, m, func(slot uint16) *lane { return owner[slot] })
	push := func(slot uint16, payload string) { q.push(message{slot: slot, payload: []byte(payload)}) }
	push(1, "a1")
	push(2, "b1")
	push(3, "nobody's")
	push(1, "a2")
	push(2, "b2")
	expectPayloads(t, q.take(b, 1, 100), "b1")
	expectPayloads(t, q.take(b, 10, 100), "b2")
	q.landed(b, []message{{slot: 2}})
	first := q.take(a, 1, 100)
	expectPayloads(t, first, "a1")

	owner[1] = b // the slot moves while its first message is on the way to its old master
	push(1, "a3")
	expectPayloads(t, q.take(b, 10, 100))
	expectPayloads(t, q.take(a, 10, 100))
	<-b.ready
	q.putBack(a, first)
	<-b.ready
	expectPayloads(t, q.take(b, 10, 100), "a1", "a2", "a3")
	owner[3] = a
	expectPayloads(t, q.take(a, 10, 100), "nobody's")
	if q.bytes != 0 || len(q.messages) != 0 {
		t.Errorf("%d bytes in %d messages are left", q.bytes, len(q.messages))
	}
}

type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestMovedTo_ReadsOnlyWhatRedisSaysSo(t *testing.T) {
	var _ goredis.Error = reply("")
	cases := []struct {
		err     error
		slot    uint16
		address string
	}{
		{reply("MOVED 3999 127.0.0.1:6381"), 3999, "127.0.0.1:6381"},
		{reply("MOVED 3999 :6381"), 3999, "10.0.0.1:6381"},
		{reply("MOVED 3999 [::1]:6381"), 3999, "[::1]:6381"},
		{reply("MOVED 16384 127.0.0.1:6381"), 0, ""},
		{reply("MOVED -1 127.0.0.1:6381"), 0, ""},
		{reply("MOVED"), 0, ""},
		{reply("ERR unknown"), 0, ""},
		{errors.New("MOVED 3999 127.0.0.1:6381"), 0, ""},
		{nil, 0, ""},
	}
	for _, c := range cases {
		slot, address, ok := movedTo(c.err, "10.0.0.1:7000")
		if slot != c.slot || address != c.address || ok != (c.address != "") {
			t.Errorf("%v: %d %q %t", c.err, slot, address, ok)
		}
	}
}
