package engine

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Limits bound what a server holds at once, in all; 0: any number. A server begins without any.
type Limits struct {
	Sessions   int
	PerAddress int // sessions of one client address, as Config.Client returns it; of IPv6, of one /64
	Outboxes   int // bytes waiting for all clients together, before the fullest are slow consumers
	// Inbound is how many bytes of memory may hold what clients have sent: messages of which a part has arrived, the
	// handshakes of all sessions, and what Session.Hold counts. Over it the sessions with the largest unfinished messages
	// are ended, and new sessions refused.
	Inbound int
}

// Sessions take longer than a second to end, so a client is asked to wait longer than that.
var (
	faultTooMany = &Refusal{
		Status: http.StatusServiceUnavailable, Code: 3, Message: "Too many connections", RetryAfter: 5 * time.Second,
	}
	faultTooManyOfAddress = &Refusal{
		Status: http.StatusServiceUnavailable, Code: 3, Message: "Too many connections from this address", RetryAfter: 5 * time.Second,
	}
)

// admission counts sessions, from before their handshake is answered until they have ended. No other lock is acquired under its own.
type admission struct {
	mu sync.Mutex
	// mu guards the following.
	limits    Limits
	sessions  int
	addresses map[string]int // sessions of each, as far as they were counted by address
}

func (a *admission) set(l Limits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limits = l
}

// limit is how many sessions there may be; 0: any number.
func (a *admission) limit() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.limits.Sessions
}

// admit counts a session of an address in, or says why there is no room for it. byAddress is what discharge is to be called with.
func (a *admission) admit(address string) (byAddress bool, refusal *Refusal, result string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limits.Sessions > 0 && a.sessions >= a.limits.Sessions {
		return false, faultTooMany, resultTooMany
	}
	if a.limits.PerAddress > 0 {
		address = network(address)
		if a.addresses[address] >= a.limits.PerAddress {
			return false, faultTooManyOfAddress, resultTooManyOfAddress
		}
		if a.addresses == nil {
			a.addresses = make(map[string]int)
		}
		a.addresses[strings.Clone(address)]++ // not a part of the handshake, which would live on with it
		byAddress = true
	}
	a.sessions++
	return byAddress, nil, ""
}

// discharge counts an admitted session out.
func (a *admission) discharge(address string, byAddress bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions--
	if !byAddress {
		return
	}
	address = network(address)
	if a.addresses[address]--; a.addresses[address] == 0 {
		delete(a.addresses, address)
	}
}

// network is the part of an address that one client has: all of IPv4, the first 64 bits of IPv6. What is no address stays
// as it is.
func network(address string) string {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if parsed = parsed.Unmap(); parsed.Is4() {
		return parsed.String()
	}
	prefix, _ := parsed.WithZone("").Prefix(64) // the length fits
	return prefix.String()
}
