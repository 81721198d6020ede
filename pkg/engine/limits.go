package engine

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
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

// admit counts a session in that r asks for, or says why there is no room for it.
func (s *Session) admit(r *http.Request) (refusal *Refusal, result string) {
	if s.request.size() > maxHandshake {
		return faultTooLarge, resultBadRequest
	}
	if full := s.server.config.Full; full != nil && full(r) || s.server.inbound.Full(s.held) {
		return faultTooMany, resultTooMany
	}
	if s.byAddress, refusal, result = s.server.admission.admit(s.request.address()); refusal == nil {
		s.server.inbound.Add(s.held)
	}
	return refusal, result
}

// discharge counts an admitted session out.
func (s *Session) discharge() {
	s.server.admission.discharge(s.request.address(), s.byAddress)
	s.server.inbound.Add(-s.held)
}

// outboxBytes is how many bytes wait for the client, those being written included.
func (s *Session) outboxBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox.Bytes()
}

// cutFullOutbox cuts a session as a slow consumer.
func (s *Session) cutFullOutbox() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || s.outbox.Bytes() == 0 {
		return false
	}
	s.server.metrics.slowConsumers.Inc()
	s.cutLocked(SlowConsumer, cause("among the fullest outboxes when all together were over their total"))
	return true
}

// Hold counts bytes of memory, or with a negative number less of them, that the application holds of what the client has
// sent, such as its credentials or a message that is not complete. It returns false, and counts nothing, where
// Limits.Inbound would be exceeded or the session has ended. What is still held when the session ends is counted out then.
func (s *Session) Hold(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || bytes > 0 && s.server.inbound.Full(bytes) {
		return false
	}
	s.held += bytes
	s.server.inbound.Add(bytes)
	return true
}

// arriving is how many bytes of memory hold what has arrived of a message that is not whole.
func (s *Session) arriving() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if s.socket != nil {
		n += s.socket.Held()
	}
	if s.polling != nil {
		n += s.polling.posting.Held()
	}
	return n
}

// cutArriving cuts a session that has sent part of a message.
func (s *Session) cutArriving() bool {
	if s.arriving() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		return false
	}
	s.cutLocked(Limit, cause("among the largest unfinished messages when all together were over their total"))
	// Its reader or handler lets go of the memory in a moment. Counted until then, it would be looked for once more, and
	// another session be ended in its place.
	if s.socket != nil {
		s.socket.Discount()
	}
	if s.polling != nil {
		s.polling.posting.Discount()
	}
	return true
}
