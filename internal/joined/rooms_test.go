package joined_test

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/internal/joined"
)

const linger = 5 * time.Second

func TestRooms_AreRememberedForALingerAtLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r joined.Rooms
		expect := func(namespace, name string, want bool) {
			t.Helper()
			if got := r.Has(namespace, name); got != want {
				t.Errorf("%q in %s: %v", name, namespace, got)
			}
		}
		expect("/", "a", false)
		r.Add("/")
		expect("/", "", false)
		r.Add("/", "a", "b")
		expect("/", "a", true)
		expect("/", "b", true)
		expect("/", "c", false)
		expect("/other", "a", false)
		time.Sleep(linger - time.Nanosecond)
		r.Add("/", "b", "c")
		time.Sleep(time.Nanosecond)
		expect("/", "a", true)
		r.Add("/", "d") // the next generation
		time.Sleep(linger - time.Nanosecond)
		expect("/", "b", true)
		expect("/", "d", true)
		time.Sleep(time.Nanosecond)
		expect("/", "a", false)
		expect("/", "b", false)
		expect("/", "d", true)
		time.Sleep(linger)
		expect("/", "d", false)
		r.Add("/other", "a")
		expect("/other", "a", true)
		expect("/", "c", false)
	})
}

// A memory that is full must not lose messages, nor grow.
func TestRooms_MoreThanAreRememberedCountAllAsJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r joined.Rooms
		for i := range 10_000 {
			r.Add("/", strconv.Itoa(i))
		}
		if r.Has("/", "elsewhere") {
			t.Error("a room that was not joined, before the memory is full")
		}
		r.Add("/", "one more")
		for _, name := range []string{"0", "9999", "one more", "elsewhere"} {
			if !r.Has("/", name) {
				t.Errorf("%q is not taken for joined", name)
			}
		}
		time.Sleep(2 * linger)
		if r.Has("/", "0") || r.Has("/", "elsewhere") {
			t.Error("remembered for longer than two lingers")
		}
		r.Add("/", "new")
		if !r.Has("/", "new") || r.Has("/", "elsewhere") {
			t.Error("wrong after the memory was full")
		}
	})
}

// Rooms of another generation take no room.
func TestRooms_GenerationsAreBoundedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r joined.Rooms
		for generation := range 3 {
			for i := range 10_000 {
				r.Add("/", strconv.Itoa(generation)+"-"+strconv.Itoa(i))
			}
			time.Sleep(linger)
		}
		r.Add("/", "last")
		if !r.Has("/", "last") || !r.Has("/", "2-0") || r.Has("/", "1-0") || r.Has("/", "elsewhere") {
			t.Error("generations are not told apart")
		}
	})
}

func TestRooms_HasIsSafeBesideAdd(t *testing.T) {
	var r joined.Rooms
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for j := range 1000 {
				name := strconv.Itoa(i*1000 + j)
				if r.Add("/", name); !r.Has("/", name) {
					t.Errorf("%s is not remembered", name)
				}
			}
		})
	}
	group.Wait()
}

func TestRooms_HasAllocsNothing(t *testing.T) {
	var empty, full joined.Rooms
	full.Add("/", "a")
	if n := testing.AllocsPerRun(100, func() { empty.Has("/", "a"); full.Has("/", "a"); full.Has("/", "b") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRooms_HasNone(b *testing.B) {
	var r joined.Rooms
	for b.Loop() {
		if r.Has("/", "a") {
			b.Fatal("joined")
		}
	}
}
