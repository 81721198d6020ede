package engine

import (
	"fmt"
	"runtime/debug"

	"github.com/carillon-io/carillon/internal/eioproto"
	"go.uber.org/zap"
)

// What the application does is called here and nowhere else. A panic of its is a bug that may cost it the one session,
// not the process: it is counted, logged and ends the session.

// callOpen makes the session known to its handler.
func (s *Session) callOpen(h Handler) {
	s.receiver = deaf{}
	defer s.recovered()
	s.receiver = h.Open(s)
}

// callMessage hands over one message; the caller holds inbound.
func (s *Session) callMessage(p eioproto.Packet) {
	defer s.recovered()
	s.receiver.Message(p.Data, p.Binary)
}

// callClosed tells the receiver of the end; the caller holds inbound.
func (s *Session) callClosed() {
	defer s.recovered()
	s.receiver.Closed(s.reason)
}

// recovered turns a panic into the end of the session.
func (s *Session) recovered() {
	v := recover()
	if v == nil {
		return
	}
	s.server.metrics.panics.Inc()
	s.server.config.Logger.Error("panic in a receiver",
		zap.String("panic", fmt.Sprint(v)), zap.ByteString("stack", debug.Stack()))
	s.end(ForcedClose, cause("the receiver panicked"))
}

// deaf stands in for the receiver of a handler that panicked instead of returning one.
type deaf struct{}

func (deaf) Message([]byte, bool) {}
func (deaf) Closed(CloseReason)   {}
