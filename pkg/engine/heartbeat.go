package engine

import (
	"math/rand/v2"
	"time"
)

// The rules of the heartbeat.
//
// Revision 4: a ping is due an interval after the last pong; an unanswered ping ends the session after the timeout,
// which other traffic extends once. Revision 3: the client pings, and its silence for interval and timeout together
// ends the session. A plain WebSocket is as revision 4, with control frames of its own. An event stream only carries
// comments, which keep proxies from closing it: that its client has gone shows when nothing can be written any more.
//
// While the Receiver blocks, silence proves nothing: it is the server that does not read. Revision 4 then
// goes on pinging for as long as it takes. A revision 3 client whose ping we did not read has had no pong either: it has
// left by the time its silence would end it, so that a Receiver that blocks longer loses it.

// startHeartbeatLocked sets the first deadline. The first ping comes up to a tenth early, at random, or the clients of
// a reconnect storm would be pinged in step for ever.
func (s *Session) startHeartbeatLocked() {
	interval := s.server.config.PingInterval
	due := s.silenceLocked()
	if s.codec.Revision != 3 {
		due = s.opened + interval - rand.N(interval/10+1)
	}
	s.setDueLocked(due)
}

// silenceLocked is when a revision 3 client that stays silent from now on is given up.
func (s *Session) silenceLocked() time.Duration {
	return s.server.now() + s.server.config.PingInterval + s.server.config.PingTimeout
}

func (s *Session) onTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.beat
	now := s.server.now()
	if b.armed == 0 {
		return // stopped after it had fired
	}
	b.armed = 0
	if s.slow != nil {
		if s.stalledLocked(now) {
			s.server.metrics.slowConsumers.Inc()
			s.cutLocked(SlowConsumer, errStalled)
			return
		}
		s.armLocked(s.slow.progress + slowAfter)
	}
	switch {
	case now < b.due:
		s.setDueLocked(b.due)
	case s.state == stateClosed:
		s.tombstone = false
		s.server.table.remove(s.id)
	case s.state == stateClosing && s.closing != nil && s.extendClosingLocked():
	case s.state == stateClosing && s.lease != leaseNone:
		s.cutLocked(s.reason, errNotTaken)
	case s.state == stateClosing:
		s.endLocked(s.reason, errNotTaken) // a Close frame that was sent may still be on its way
	case b.blocked && s.codec.Revision != 3:
		// The client goes on being pinged, or it would leave; only its pongs cannot be expected.
		b.suspended = true
		s.sendPingLocked(now)
		s.setDueLocked(now + s.server.config.PingInterval)
	case b.awaiting || s.codec.Revision == 3:
		s.endLocked(PingTimeout, errSilent)
	default:
		s.pingLocked(now)
	}
}

// expireLocked ends a session whose deadline has passed while its timer is late: a request that comes after the
// deadline must not find it alive.
func (s *Session) expireLocked() {
	b := &s.beat
	unheard := b.awaiting && !b.blocked
	if s.state == stateOpen && (unheard || s.codec.Revision == 3) && s.server.now() > b.due {
		s.endLocked(PingTimeout, errSilent)
	}
}

func (s *Session) pingLocked(now time.Duration) {
	if s.streams() {
		s.setDueLocked(now + s.server.config.PingInterval)
	} else {
		s.beat.awaiting, s.beat.extended = true, false
		s.setDueLocked(now + s.server.config.PingTimeout)
	}
	s.sendPingLocked(now)
}

// sendPingLocked queues a ping. One behind another with nothing in between is left out: the answer to that one proves as
// much.
func (s *Session) sendPingLocked(now time.Duration) {
	b := &s.beat
	b.pinged = now
	switch queued := s.queueLocked(s.codec.Ping()); {
	case !queued:
	case b.unanswered < unknownPings-1:
		b.unanswered++
	default:
		b.unanswered = unknownPings
	}
}

// unknownPings says that a ping may be lost, or answered yet.
const unknownPings = 255

// provedLocked notes a pong. It proves that the client has received what was queued before the last ping if it answers
// that one. It reports whether it does, or may where it is not known how many pings are on their way.
func (b *heartbeat) provedLocked() (last bool) {
	switch b.unanswered {
	case 0: // not asked for
		return false
	case 1:
		b.unanswered, b.proof = 0, b.pinged
		return true
	case unknownPings:
		b.unanswered = 0
		return true
	default:
		b.unanswered--
		return false
	}
}

// pongLocked starts the interval anew at a pong, asked for or not.
func (s *Session) pongLocked() {
	s.beat.awaiting = false
	s.setDueLocked(s.server.now() + s.server.config.PingInterval)
}

// otherTrafficLocked extends the wait for a pong, once for each ping.
func (s *Session) otherTrafficLocked() {
	if s.state == stateOpen && s.beat.awaiting && !s.beat.extended {
		s.beat.extended = true
		s.setDueLocked(s.server.now() + s.server.config.PingTimeout)
	}
}

// blockLocked notes that Receiver.Message is about to run.
func (s *Session) blockLocked() {
	s.beat.blocked, s.beat.blockedAt = true, s.server.now()
}

// unblockLocked gives the client the time back that we did not read.
func (s *Session) unblockLocked() {
	b := &s.beat
	b.blocked = false
	if s.state != stateOpen {
		return
	}
	now := s.server.now()
	switch {
	case b.suspended:
		b.suspended = false
		s.pingLocked(now)
	case b.awaiting || s.codec.Revision == 3:
		s.setDueLocked(b.due + now - b.blockedAt)
	}
}

// Ping sends a ping at once and calls answer once, on another goroutine: true when the client answers it, false when it has
// not within the time, which ends the session as a ping timeout, or when the session has ended. The answer to an earlier ping
// counts for nothing: it may have been on its way when the connection broke. A client of revision 3 or of a stream cannot be
// asked; it counts as silent.
func (s *Session) Ping(within time.Duration, answer func(alive bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		go answer(false)
		return
	}
	if s.state == stateClosing || s.codec.Revision == 3 || s.streams() {
		s.endLocked(PingTimeout, errSilent)
		go answer(false)
		return
	}
	if s.asked == nil {
		a := new(asked)
		a.late = time.AfterFunc(within, func() { s.silent(a) })
		s.asked = a
	}
	s.asked.pongs = append(s.asked.pongs, answer)
	s.sendPingLocked(s.server.now())
}

// silent ends a session whose client has not answered these calls of Ping.
func (s *Session) silent(a *asked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == a {
		s.cutLocked(PingTimeout, errSilent)
	}
}

// answeredLocked notifies the callers of Ping that the client lives.
func (s *Session) answeredLocked() { s.notifyLocked(true) }

// Proof is when the last ping was queued that the client has answered for certain: it has received all that was sent
// before. It is zero when there is none.
func (s *Session) Proof() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.beat.proof == 0 {
		return time.Time{}
	}
	return s.server.epoch.Add(s.beat.proof)
}
