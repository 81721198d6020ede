package patience_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/carillon-io/carillon/internal/recovery/patience"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errForbidden = errors.New("ask http://192.0.2.7:8081: 403 Forbidden")

func newTracker() (*patience.Tracker, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.InfoLevel)
	return patience.New(patience.Config{Node: 10 * time.Second, Session: 2 * time.Minute, Logger: zap.New(core)}), logs
}

// try is a claim that fails because the node does not answer.
func try(t *patience.Tracker, pid string) (hopeless, expired bool) {
	if t.Hopeless(pid, "tag0") {
		return true, false
	}
	claimed := time.Now()
	time.Sleep(time.Second)
	t.Silent("tag0", errForbidden)
	return false, t.Failed(pid, claimed)
}

func TestTracker_AClientTriesForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker, _ := newTracker()
		began := time.Now()
		for {
			hopeless, _ := try(tracker, "pid")
			if hopeless {
				break
			}
			time.Sleep(2 * time.Second)
		}
		if took := time.Since(began); took < 10*time.Second || took > 13*time.Second {
			t.Errorf("given up after %v", took)
		}
		if hopeless, _ := try(tracker, "another"); hopeless {
			t.Error("another client has not tried yet, and is given up")
		}
		tracker.Answered("tag0")
		if hopeless, _ := try(tracker, "pid"); hopeless {
			t.Error("given up although the node has answered")
		}
	})
}

func TestTracker_WhatLiesLongBackDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker, _ := newTracker()
		for range 4 {
			if hopeless, expired := try(tracker, "pid"); hopeless || expired {
				t.Fatalf("hopeless %t, expired %t", hopeless, expired)
			}
			time.Sleep(3 * time.Minute)
		}
		tracker.Settled("pid")
		if hopeless, expired := try(tracker, "pid"); hopeless || expired {
			t.Errorf("after it was settled: hopeless %t, expired %t", hopeless, expired)
		}
	})
}

// TestTracker_NoSessionOutlivesItsWindow whatever prevents it from being moved, as while Redis is away.
func TestTracker_NoSessionOutlivesItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker, _ := newTracker()
		began := time.Now()
		for !tracker.Failed("pid", time.Now()) {
			time.Sleep(5 * time.Second)
		}
		if took := time.Since(began); took != 2*time.Minute {
			t.Errorf("expired after %v", took)
		}
	})
}

func TestTracker_IsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker, _ := newTracker()
		tracker.Silent("tag0", errForbidden)
		for i := range 1<<16 + 10 {
			tracker.Failed(fmt.Sprint("pid ", i), time.Now())
		}
		if tracker.Hopeless("one more", "tag0") {
			t.Error("given up although the node has not been silent for long")
		}
		time.Sleep(11 * time.Second)
		tracker.Silent("tag0", errForbidden)
		if !tracker.Hopeless("one more", "tag0") {
			t.Error("a client that is one too many tries for ever")
		}
	})
}

func TestTracker_ANodeIsLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracker, logs := newTracker()
		for i := range 90 {
			try(tracker, fmt.Sprint(i))
		}
		entries := logs.TakeAll()
		if len(entries) != 2 {
			t.Fatalf("%d lines in 90 seconds", len(entries))
		}
		fields := entries[1].ContextMap()
		if fields["tag"] != "tag0" || fields["error"] != errForbidden.Error() || fields["calls"] != int64(60) {
			t.Errorf("logged %v", fields)
		}
		tracker.Answered("tag0")
		tracker.Answered("tag0")
		if n := logs.Len(); n != 1 {
			t.Errorf("%d lines that it answers", n)
		}
	})
}
