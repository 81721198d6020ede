package gateway

import (
	"net/netip"
	"sync"
	"time"
)

// addressesCounted bounds the memory of one window; addresses beyond it share one count.
const addressesCounted = 1 << 16

// addressWindow counts what each address does within the present second. The zero value is ready.
type addressWindow struct {
	mu sync.Mutex
	// mu guards the following.
	second int64 // Unix time of the window
	counts map[netip.Prefix]int
}

// count counts one deed of address.
func (w *addressWindow) count(address string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[w.keyLocked(address, now)]++
}

// below reports whether address did less than most within this second.
func (w *addressWindow) below(address string, most int, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[w.keyLocked(address, now)] < most
}

// keyLocked moves to the present second and returns what an address counts under.
func (w *addressWindow) keyLocked(address string, now time.Time) netip.Prefix {
	if second := now.Unix(); second != w.second || w.counts == nil {
		// A new map, so that the memory of a flood goes with it.
		w.second, w.counts = second, make(map[netip.Prefix]int)
	}
	key := network(address)
	if _, counted := w.counts[key]; !counted && len(w.counts) >= addressesCounted {
		return netip.Prefix{}
	}
	return key
}

// network is what one client has: an IPv4 address, or the 64 bits of IPv6 that are handed out as one. What is no address
// counts together.
func network(address string) netip.Prefix {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 64
	if parsed = parsed.Unmap(); parsed.Is4() {
		bits = 32
	}
	prefix, _ := parsed.WithZone("").Prefix(bits) // the length fits the family
	return prefix
}
