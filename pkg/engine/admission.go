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

// admission counts sessions, from before their handshake is answered until they have ended. It is a leaf: its lock is taken under
// a session's.
type admission struct {
	mu sync.Mutex
	// mu guards the following.
	limits    Limits
	sessions  int
	addresses map[string]int // sessions of each, as far as they were counted by address
}

// SetLimits replaces the limits. Open sessions stay open; sessions are counted by address only while that is limited. It may
// be called at any time.
func (s *Server) SetLimits(l Limits) {
	s.outboxes.limit.Store(int64(l.Outboxes))
	s.inbound.limit.Store(int64(l.Inbound))
	a := &s.admission
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

// admit counts a session in that r asks for, or tells why there is no room for it.
func (a *admission) admit(s *Session, r *http.Request) (refusal *Refusal, result string) {
	if s.request.size() > maxHandshake {
		return faultTooLarge, resultBadRequest
	}
	if full := s.server.config.Full; full != nil && full(r) || s.server.inbound.full(s.held) {
		return faultTooMany, resultTooMany
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.limits.Sessions > 0 && a.sessions >= a.limits.Sessions {
		return faultTooMany, resultTooMany
	}
	if a.limits.PerAddress > 0 {
		address := network(s.address())
		if a.addresses[address] >= a.limits.PerAddress {
			return faultTooManyOfAddress, resultTooManyOfAddress
		}
		if a.addresses == nil {
			a.addresses = make(map[string]int)
		}
		a.addresses[strings.Clone(address)]++ // not a part of the handshake, which would live on with it
		s.byAddress = true
	}
	a.sessions++
	s.server.inbound.Add(s.held)
	return nil, ""
}

// discharge counts an admitted session out.
func (a *admission) discharge(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions--
	s.server.inbound.Add(-s.held)
	if !s.byAddress {
		return
	}
	address := network(s.address())
	if a.addresses[address]--; a.addresses[address] == 0 {
		delete(a.addresses, address)
	}
}

// network is the part of an address that one client has: all of IPv4, the first 64 bits of IPv6. What is no address is taken
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

func (s *Session) address() string { return s.request.address() }
