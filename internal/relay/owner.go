package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// headerRefused tells the relaying node why its request was not served.
const headerRefused = "Carillon-Relay-Refused"

// What nodes ask one another beside clients' requests.
const (
	releasePath = "/carillon/release" // by a draining node: end the session's waiting poll
	awayPath    = "/carillon/away"    // by a draining node: send the session's client away
	tagsPath    = "/carillon/tags"    // by a node with a static list of peers
	loadPath    = "/carillon/load"    // by gateway rebalance: how many sessions are here
	shedPath    = "/carillon/shed"    // close so many of them
	movePath    = "/carillon/move/"   // and the name of a call of Config.Moves
)

// mostMove is the length of a call of Config.Moves: it names the rooms of a session, which may be more than a client may send.
const mostMove = 4 << 20

var errBody = errors.New("relay: body does not match its signature")

// refusals are the reasons for which an owner does not serve a request, as the metric names them.
var refusals = map[error]string{
	errUnsigned: "unsigned", errForged: "forged", errStale: "stale", errReplayed: "replayed", errFull: "full", errBody: "body",
}

// Sessions are this node's own, as a relayed request sees them.
type Sessions interface {
	// ServeHTTP serves a request for a session of this node and answers 400 code 1 for any other. It never relays.
	http.Handler
	// Release ends the poll that waits for the session, if one does, with a noop.
	Release(sid string)
	// SendAway ends the session, if there is one, so that its client comes back.
	SendAway(sid string)
	// Sessions is how many there are.
	Sessions() int
	// Shed closes n sessions' transports evenly over window, as at a drain. It does not wait for that.
	Shed(n int, window time.Duration)
}

// Owner serves what other nodes relay to this one.
func (r *Relay) Owner(sessions Sessions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.believe(w, req); err != nil {
			r.metrics.refused[err].Inc()
			r.log.Debug("a relayed request was refused", zap.String("from", req.RemoteAddr), zap.Error(err))
			w.Header().Set(headerRefused, refusals[err])
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if r.answer(w, req, sessions) {
			return
		}
		c := client{address: req.Header.Get(headerClient), scheme: req.Header.Get(headerScheme)}
		for _, name := range []string{headerSignature, headerClient, headerScheme, headerBody} {
			req.Header.Del(name)
		}
		sessions.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), clientKey{}, c)))
	})
}

// answer answers what nodes ask one another beside clients' requests; false when it is none of that.
func (r *Relay) answer(w http.ResponseWriter, req *http.Request, sessions Sessions) bool {
	query := req.URL.Query()
	switch req.URL.Path {
	case releasePath:
		sessions.Release(query.Get("sid"))
		w.WriteHeader(http.StatusNoContent)
	case awayPath:
		sessions.SendAway(query.Get("sid"))
		w.WriteHeader(http.StatusNoContent)
	case tagsPath:
		writeJSON(w, tags{Node: r.config.Node, Tags: r.config.Tags()})
	case loadPath:
		writeJSON(w, Load{Node: r.config.Node, Sessions: sessions.Sessions()})
	case shedPath:
		n, err := strconv.Atoi(query.Get("sessions"))
		window, wrong := time.ParseDuration(query.Get("window"))
		if err != nil || wrong != nil || n < 0 || window < 0 {
			w.WriteHeader(http.StatusBadRequest)
			return true
		}
		sessions.Shed(n, window)
		w.WriteHeader(http.StatusAccepted)
	default:
		call, ok := strings.CutPrefix(req.URL.Path, movePath)
		if !ok || r.config.Moves == nil {
			return false
		}
		body, err := io.ReadAll(req.Body) // which believe has read already
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return true
		}
		r.config.Moves(w, req, call, body)
	}
	return true
}

func writeJSON(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the asking node sees what it does not get
}

// believe checks the signature, and reads the body of a POST to compare it with its hash. The error is one of refusals.
func (r *Relay) believe(w http.ResponseWriter, req *http.Request) error {
	secret := r.config.Secret()
	if secret == nil {
		return errUnsigned
	}
	if err := r.seen.verify(req, secret, time.Now()); err != nil {
		return err
	}
	if req.Header.Get(headerBody) == "" && req.ContentLength == 0 {
		return nil
	}
	if req.ContentLength < 0 {
		return errBody // a node sends none without its length
	}
	if !r.bodies.take(req.ContentLength) {
		return errFull
	}
	defer r.bodies.give(req.ContentLength)
	most := r.config.MaxBody
	if strings.HasPrefix(req.URL.Path, movePath) {
		most = max(most, mostMove)
	}
	body, err := r.readInTime(w, req, most)
	if err != nil {
		return errBody
	}
	sum := sha256.Sum256(body)
	if hex.EncodeToString(sum[:]) != req.Header.Get(headerBody) {
		return errBody
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// readInTime reads a body of at most so many bytes, which counts among those held: a sender that stops in the middle must not keep
// others out.
func (r *Relay) readInTime(w http.ResponseWriter, req *http.Request, most int) (body []byte, err error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(r.config.PostTimeout)) // fails only on a closed connection
	if body, err = io.ReadAll(http.MaxBytesReader(w, req.Body, int64(most))); err == nil {
		_ = control.SetReadDeadline(time.Time{}) // else net/http would wait for the rest
	}
	return body, err
}

type clientKey struct{}

// ClientOf returns the address of the client behind a relayed request, and whether it came over TLS; false when the
// request was not relayed.
func ClientOf(req *http.Request) (address string, secure, relayed bool) {
	c, relayed := req.Context().Value(clientKey{}).(client)
	return c.address, c.scheme == "https", relayed
}
