package redis

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// outcomes collects what messages ended with, by payload.
type outcomes struct {
	mu    sync.Mutex
	ended map[string]error
}

func (o *outcomes) message(payload string) message {
	return message{channel: "c", payload: []byte(payload), done: func(err error) {
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

func testQueue(t *testing.T, limits Queue) *queue {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	return newQueue(limits, m)
}

func payloads(messages []message) []string {
	var p []string
	for _, m := range messages {
		p = append(p, string(m.payload))
	}
	return p
}

func expectPayloads(t *testing.T, got []message, want ...string) {
	t.Helper()
	if !slices.Equal(payloads(got), want) {
		t.Errorf("took %q instead of %q", payloads(got), want)
	}
}

func TestQueue_OverABoundTheOldestGo(t *testing.T) {
	cases := map[string]Queue{
		"messages": {Messages: 2, Bytes: 1000, Age: time.Hour},
		"bytes":    {Messages: 1000, Bytes: 2, Age: time.Hour},
	}
	for name, limits := range cases {
		t.Run(name, func(t *testing.T) {
			q, ended := testQueue(t, limits), &outcomes{}
			for _, p := range []string{"a", "b", "c", "d"} {
				q.drop(q.push(ended.message(p)))
			}
			expectPayloads(t, q.take(nil, 100, 100), "c", "d")
			ended.expect(t, adapter.ErrFull, "a", "b")
			if got := testutil.ToFloat64(q.metrics.publishDropped[dropFull]); got != 2 {
				t.Errorf("%v counted", got)
			}
		})
	}
}

func TestQueue_MessageLongerThanTheQueueTakesNoOthersWithIt(t *testing.T) {
	q, ended := testQueue(t, Queue{Messages: 10, Bytes: 3, Age: time.Hour}), &outcomes{}
	q.drop(q.push(ended.message("a")))
	q.drop(q.push(ended.message("long")))
	ended.expect(t, adapter.ErrFull, "long")
	expectPayloads(t, q.take(nil, 100, 100), "a")
}

func TestQueue_TakesBatchesWithinBoundsInOrder(t *testing.T) {
	q, ended := testQueue(t, Queue{Messages: 100, Bytes: 100, Age: time.Hour}), &outcomes{}
	for _, p := range []string{"1", "2", "33", "4444", "5"} {
		q.drop(q.push(ended.message(p)))
	}
	expectPayloads(t, q.take(nil, 2, 100), "1", "2")
	third := q.take(nil, 100, 1) // longer than asked for, but alone
	expectPayloads(t, third, "33")
	q.drop(q.settle(third))
	expectPayloads(t, q.take(nil, 100, 6), "33", "4444")
	expectPayloads(t, q.take(nil, 100, 100), "5")
	expectPayloads(t, q.take(nil, 100, 100))
	if got := testutil.ToFloat64(q.metrics.queued); got != 0 {
		t.Errorf("gauge shows %v for an empty queue", got)
	}
}

func TestQueue_AgeEndsMessagesEvenIfNobodyTakesAny(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, ended := testQueue(t, Queue{Messages: 100, Bytes: 100, Age: 10 * time.Second}), &outcomes{}
		q.drop(q.push(ended.message("old")))
		time.Sleep(6 * time.Second)
		q.drop(q.push(ended.message("young")))
		time.Sleep(4 * time.Second)
		synctest.Wait()
		ended.expect(t, adapter.ErrAway, "old")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		ended.expect(t, adapter.ErrAway, "old", "young")
	})
}

func TestQueue_ClosedEndsWhatWaitsAndWhatComes(t *testing.T) {
	q, ended := testQueue(t, Queue{Messages: 100, Bytes: 100, Age: time.Hour}), &outcomes{}
	q.drop(q.push(ended.message("before")))
	q.close()
	q.drop(q.push(ended.message("after")))
	ended.expect(t, adapter.ErrAway, "before", "after")
	if got := testutil.ToFloat64(q.metrics.publishDropped[dropShutdown]); got != 2 {
		t.Errorf("%v counted", got)
	}
}
