package gateway

import (
	"net/netip"
	"testing"
	"time"
)

func TestAddressWindow_CountsEachAddressWithinASecond(t *testing.T) {
	t.Parallel()
	var w addressWindow
	now := time.Unix(1_700_000_000, 0)
	for n := range 3 {
		if !allow(&w, "192.0.2.1", 3, now) {
			t.Errorf("deed %d is among the first three", n+1)
		}
	}
	if allow(&w, "192.0.2.1", 3, now) || allow(&w, "::ffff:192.0.2.1", 3, now) {
		t.Error("the fourth is not")
	}
	if !allow(&w, "192.0.2.2", 3, now) {
		t.Error("another address has its own count")
	}
	if !allow(&w, "192.0.2.1", 3, now.Add(time.Second)) {
		t.Error("the next second begins anew")
	}
}

func TestAddressWindow_IPv6CountsByTheNetworkOneClientHas(t *testing.T) {
	t.Parallel()
	var w addressWindow
	now := time.Unix(1_700_000_000, 0)
	if !allow(&w, "2001:db8::1", 1, now) || allow(&w, "2001:db8::2", 1, now) {
		t.Error("addresses of one /64 count together")
	}
	if !allow(&w, "2001:db8:0:1::1", 1, now) {
		t.Error("another /64 has its own count")
	}
	if !allow(&w, "fe80::1%eth0", 1, now) || allow(&w, "fe80::1%eth1", 1, now) {
		t.Error("a zone is no part of the network")
	}
	if !allow(&w, "@", 1, now) || allow(&w, "", 1, now) {
		t.Error("what is no address counts together")
	}
}

func TestAddressWindow_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	var w addressWindow
	now := time.Unix(1_700_000_000, 0)
	address := netip.MustParseAddr("10.0.0.0")
	allowed := 0
	for range 2 * addressesCounted {
		if allow(&w, address.String(), 1, now) {
			allowed++
		}
		address = address.Next()
	}
	if len(w.counts) > addressesCounted+1 {
		t.Errorf("%d addresses are counted", len(w.counts))
	}
	if allowed != addressesCounted+1 {
		t.Errorf("%d were allowed: those counted and one of the rest", allowed)
	}
	allow(&w, "10.0.0.0", 1, now.Add(time.Second))
	if len(w.counts) != 1 {
		t.Errorf("a second later %d addresses are still counted", len(w.counts))
	}
}

// allow reports whether one more deed is among the first most of its second, and counts it.
func allow(w *addressWindow, address string, most int, now time.Time) bool {
	below := w.below(address, most, now)
	w.count(address, now)
	return below
}
