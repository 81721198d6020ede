package outbox

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Against a model that remembers each item with its bytes.
func TestOutbox_Model(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		type item struct{ id, bytes int }
		var o Outbox[int]
		var waiting, flying []item
		var batch []int
		ids := func(items []item) (ids []int) {
			for _, i := range items {
				ids = append(ids, i.id)
			}
			return ids
		}
		bytes := func(items []item) (sum int) {
			for _, i := range items {
				sum += i.bytes
			}
			return sum
		}
		taken := false
		for step := range 300 {
			switch random.IntN(6) {
			case 0, 1:
				items := make([]int, random.IntN(4))
				sum := 0
				for i := range items {
					items[i] = step*10 + i + 1
					n := random.IntN(100)
					sum += n
					waiting = append(waiting, item{items[i], n})
				}
				o.Add(sum, items...)
				clear(items) // not kept
			case 2:
				control := -1 - random.IntN(2)
				like := len(waiting) > 0 && waiting[len(waiting)-1].id == control
				if o.AddOnce(control) == like {
					t.Fatalf("seed %d: %d added behind its like: %v", seed, control, !like)
				}
				if !like {
					waiting = append(waiting, item{control, 0})
				}
			case 3:
				if taken {
					break
				}
				var n int
				batch, n = o.Take()
				if !slices.Equal(batch, ids(waiting)) || n != bytes(waiting) {
					t.Fatalf("seed %d: took %v of %d bytes, want %v", seed, batch, n, waiting)
				}
				taken, flying, waiting = true, waiting, nil
			case 4:
				if !taken {
					break
				}
				if !slices.Equal(batch, ids(flying)) {
					t.Fatalf("seed %d: a batch in flight became %v, want %v", seed, batch, flying)
				}
				if n := o.Land(batch); n != bytes(flying) {
					t.Fatalf("seed %d: %d bytes landed, want %v", seed, n, flying)
				}
				taken, flying = false, nil
			case 5:
				if random.IntN(20) > 0 {
					break
				}
				dropped, n := o.Drop()
				if !slices.Equal(dropped, ids(waiting)) || n != bytes(waiting)+bytes(flying) {
					t.Fatalf("seed %d: dropped %v, %d bytes", seed, dropped, n)
				}
				waiting, flying, taken = nil, nil, false
			}
			held := bytes(waiting) + bytes(flying)
			if o.Bytes() != held || o.Empty() != (len(waiting) == 0) {
				t.Fatalf("seed %d: holds %d bytes, empty %v; want %v and %v", seed, o.Bytes(), o.Empty(), waiting, flying)
			}
			limit, more := random.IntN(300), random.IntN(300)
			if o.Over(limit, more) != (held > 0 && held+more > limit) {
				t.Fatalf("seed %d: %d more over %d: %v", seed, more, limit, o.Over(limit, more))
			}
		}
	}
}

func TestOutbox_AllocsNothingForAQueueInUse(t *testing.T) {
	var o Outbox[*int]
	item := new(int)
	n := testing.AllocsPerRun(100, func() {
		o.Add(1, item)
		batch, _ := o.Take()
		o.Add(1, item)
		o.Land(batch)
		batch, _ = o.Take()
		o.Land(batch)
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	long := make([]*int, 10*keep)
	o.Add(1, long...)
	batch, _ := o.Take()
	o.Land(batch)
	if cap(o.spare) > keep {
		t.Errorf("%d places are kept", cap(o.spare))
	}
}
