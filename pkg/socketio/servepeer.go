package socketio

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/carillon-io/carillon/internal/recovery"
)

// ServePeer answers a call of another server's, which Peers.Call has made there. A peer can fetch any session: the caller has
// verified that the request comes from a server of this cluster.
//
// The caller has to take the answer without a break of Recovery.MoveTimeout; else its connection is reset.
func (io *Server) ServePeer(w http.ResponseWriter, r *http.Request, call string, body []byte) {
	var err error
	out := &paced{ResponseWriter: w, within: io.cfg.Recovery.MoveTimeout}
	defer out.end()
	switch {
	case !io.handsOver():
		if err = errNoRecovery; call == callReserve { // the client gets a new socket: it would try again for good
			err = servePeer(out, r, body, refuseReserve)
		}
	case call == callReserve:
		err = servePeer(out, r, body, io.reserve)
	case call == callCut:
		err = io.serveCut(out, r, body)
	case call == callDone:
		err = servePeer(out, r, body, io.departed)
	case call == callAdopt:
		err = servePeer(out, r, body, io.adopt)
	case call == callAlive:
		err = servePeer(out, r, body, io.alive)
	default:
		err = errNoRecovery
	}
	if err != nil {
		http.Error(out, err.Error(), http.StatusConflict)
	}
}

var (
	errNoRecovery    = errors.New("socketio: this server has no sessions that move")
	errNoReservation = errors.New("socketio: no such reservation, or another claim was faster")
	errNotSettled    = errors.New("socketio: the entry of a session cannot be changed now")
)

func refuseReserve(context.Context, reserveRequest) (reserveAnswer, error) {
	return reserveAnswer{Refused: recovery.ReasonImmobile.String()}, nil
}

func servePeer[Request, Answer any](w http.ResponseWriter, r *http.Request, body []byte, f func(context.Context, Request) (Answer, error)) error {
	var request Request
	if err := json.Unmarshal(body, &request); err != nil {
		return fmt.Errorf("socketio: request of a peer: %w", err)
	}
	answer, err := f(r.Context(), request)
	if err != nil {
		return err
	}
	if writeAnswer(w, answer, 0) != nil {
		panic(http.ErrAbortHandler) // the peer must not take a part for the whole
	}
	return nil
}

// serveCut publishes a fence, and hands the session over as it is there.
func (io *Server) serveCut(w *paced, r *http.Request, body []byte) error {
	var request cutRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return fmt.Errorf("socketio: request of a peer: %w", err)
	}
	d := io.moves.find(request.Token)
	if d == nil {
		return errNoReservation
	}
	d.working.Lock()
	defer d.working.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), io.cfg.Recovery.MoveTimeout)
	defer cancel()
	answer, handed, err := d.cut(ctx, request.Held)
	w.moved = d.extend
	if err != nil {
		d.fail()
		return err
	}
	if len(answer.Missing) > 0 {
		handed = recovery.Handed{}
	}
	out := bufio.NewWriterSize(w, answerChunk)
	err = writeAnswer(out, answer, handed.Size())
	if err == nil && len(answer.Missing) == 0 {
		err = handed.WriteEvents(out)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the peer must not take a part for the whole; the lease decides what becomes of the session
	}
	return nil
}
