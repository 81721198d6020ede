package redisqueue

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// outcomes collects what messages ended with, by payload.
type outcomes struct {
	mu    sync.Mutex
	ended map[string]error
}

func (o *outcomes) message(payload string) Message {
	return Message{Channel: "c", Payload: []byte(payload), Done: func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.ended == nil {
			o.ended = make(map[string]error)
		}
		o.ended[payload] = err
	}}
}

// expect sees that exactly these messages have ended, with err.
func (o *outcomes) expect(t *testing.T, err error, payloads ...string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ended) != len(payloads) {
		t.Errorf("ended: %v; want %q", o.ended, payloads)
	}
	for _, p := range payloads {
		if !errors.Is(o.ended[p], err) {
			t.Errorf("%s ended with %v", p, o.ended[p])
		}
	}
}

// tested is a queue with its metrics.
type tested struct {
	*Queue
	dropped map[Drop]int
}

func newTested(limits Limits) tested {
	q := tested{dropped: make(map[Drop]int)}
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "waiting"})
	q.Queue = New(limits, Metrics{Waiting: gauge, Dropped: func(why Drop) { q.dropped[why]++ }})
	return q
}

func payloads(messages []Message) []string {
	var p []string
	for _, m := range messages {
		p = append(p, string(m.Payload))
	}
	return p
}

func expectPayloads(t *testing.T, got []Message, want ...string) {
	t.Helper()
	if !slices.Equal(payloads(got), want) {
		t.Errorf("took %q instead of %q", payloads(got), want)
	}
}

func TestQueue_OverABoundTheOldestGo(t *testing.T) {
	cases := map[string]Limits{
		"messages": {Messages: 2, Bytes: 1000, Age: time.Hour},
		"bytes":    {Messages: 1000, Bytes: 2, Age: time.Hour},
	}
	for name, limits := range cases {
		t.Run(name, func(t *testing.T) {
			q, ended := newTested(limits), &outcomes{}
			for _, p := range []string{"a", "b", "c", "d"} {
				q.Push(ended.message(p)).Finish()
			}
			expectPayloads(t, q.Take(nil, 100, 100), "c", "d")
			ended.expect(t, adapter.ErrFull, "a", "b")
			if got := q.dropped[Full]; got != 2 {
				t.Errorf("%v counted", got)
			}
		})
	}
}

func TestQueue_MessageLongerThanTheQueueTakesNoOthersWithIt(t *testing.T) {
	q, ended := newTested(Limits{Messages: 10, Bytes: 3, Age: time.Hour}), &outcomes{}
	q.Push(ended.message("a")).Finish()
	q.Push(ended.message("long")).Finish()
	ended.expect(t, adapter.ErrFull, "long")
	expectPayloads(t, q.Take(nil, 100, 100), "a")
}

func TestQueue_TakesBatchesWithinBoundsInOrder(t *testing.T) {
	q, ended := newTested(Limits{Messages: 100, Bytes: 100, Age: time.Hour}), &outcomes{}
	for _, p := range []string{"1", "2", "33", "4444", "5"} {
		q.Push(ended.message(p)).Finish()
	}
	expectPayloads(t, q.Take(nil, 2, 100), "1", "2")
	third := q.Take(nil, 100, 1) // longer than asked for, but alone
	expectPayloads(t, third, "33")
	q.Settle(third).Finish()
	expectPayloads(t, q.Take(nil, 100, 6), "33", "4444")
	expectPayloads(t, q.Take(nil, 100, 100), "5")
	expectPayloads(t, q.Take(nil, 100, 100))
	if got := testutil.ToFloat64(q.metrics.Waiting); got != 0 {
		t.Errorf("gauge shows %v for an empty queue", got)
	}
}

func TestQueue_AgeEndsMessagesEvenIfNobodyTakesAny(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, ended := newTested(Limits{Messages: 100, Bytes: 100, Age: 10 * time.Second}), &outcomes{}
		q.Push(ended.message("old")).Finish()
		time.Sleep(6 * time.Second)
		q.Push(ended.message("young")).Finish()
		time.Sleep(4 * time.Second)
		synctest.Wait()
		ended.expect(t, adapter.ErrAway, "old")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		ended.expect(t, adapter.ErrAway, "old", "young")
	})
}

func TestQueue_ClosedEndsWhatWaitsAndWhatComes(t *testing.T) {
	q, ended := newTested(Limits{Messages: 100, Bytes: 100, Age: time.Hour}), &outcomes{}
	q.Push(ended.message("before")).Finish()
	q.Close()
	q.Push(ended.message("after")).Finish()
	ended.expect(t, adapter.ErrAway, "before", "after")
	if got := q.dropped[Shutdown]; got != 2 {
		t.Errorf("%v counted", got)
	}
}
