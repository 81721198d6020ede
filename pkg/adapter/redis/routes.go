package redis

import "github.com/carillon-io/carillon/internal/rediswire"

// routes tell which shard serves each slot; nil is nobody known. A table of routes never changes.
type routes [rediswire.Slots]*shard

// owns reports whether a shard serves any slot.
func (r *routes) owns(sh *shard) bool {
	for _, owner := range r {
		if owner == sh {
			return true
		}
	}
	return false
}

// slotRange is what a master serves.
type slotRange struct {
	first, last int
	address     string
}
