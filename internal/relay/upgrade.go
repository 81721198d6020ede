package relay

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func isUpgrade(req *http.Request) bool {
	return strings.EqualFold(req.Header.Get("Upgrade"), "websocket")
}

// relayUpgrade asks the session's owners for a WebSocket, each on a connection of its own, and joins the one that agrees
// with the client's connection.
func (r *Relay) relayUpgrade(w http.ResponseWriter, req *http.Request, c client, owners []*url.URL) {
	if r.config.Full != nil && r.config.Full(req) {
		r.metrics.count(resultOverload)
		w.Header().Set("Connection", "close")
		refuse(w, "Too many connections") // the client goes on polling
		return
	}
	clear(w.Header()) // the owner's answer has all of them
	var last error
	for i, owner := range owners {
		peer, response, err := r.dialUpgrade(req, c, owner)
		if err != nil {
			last = err
			continue
		}
		if response.StatusCode == http.StatusSwitchingProtocols {
			r.metrics.count(resultOK)
			r.join(w, response, peer, &shuttle{relay: r, sid: idOf(req), peer: owner})
			return
		}
		if i < len(owners)-1 && unknownSession(response) {
			_ = peer.conn.Close() // read whole already
			continue
		}
		if last = r.answered(response, c); last == nil {
			copyAnswer(w, response)
		}
		_ = peer.conn.Close() // answered
		if last == nil {
			return
		}
	}
	r.failed(w, req, last)
}

// end is one end of a relayed WebSocket: a connection, and what was read from it too early.
type end struct {
	conn   net.Conn
	reader *bufio.Reader
}

// dialUpgrade sends the upgrade to one owner and reads its answer.
func (r *Relay) dialUpgrade(req *http.Request, c client, owner *url.URL) (*end, *http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), r.config.PostTimeout)
	defer cancel()
	conn, err := (&net.Dialer{Timeout: r.config.DialTimeout}).DialContext(ctx, "tcp", owner.Host)
	if err != nil {
		return nil, nil, fmt.Errorf("relay: dial %s: %w", owner.Host, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the read below
	out := req.Clone(ctx)
	out.URL.Scheme, out.URL.Host = "http", owner.Host
	vouch(out.Header, c)
	sign(out, c.secret, time.Now())
	err = out.Write(conn)
	reader := bufio.NewReaderSize(conn, 1024)
	var response *http.Response
	if err == nil {
		response, err = http.ReadResponse(reader, out)
	}
	if !stop() {
		err = context.Cause(ctx) // what ended it, rather than the error of the closed connection
	}
	if err != nil {
		_ = conn.Close() // useless now
		return nil, nil, fmt.Errorf("relay: upgrade at %s: %w", owner.Host, err)
	}
	return &end{conn, reader}, response, nil
}

// copyAnswer passes on an answer that is no upgrade.
func copyAnswer(w http.ResponseWriter, response *http.Response) {
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.StatusCode)
	buffer := buffers.Get()
	defer buffers.Put(buffer)
	for {
		n, err := response.Body.Read(buffer)
		if _, failed := w.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// join takes the client's connection over, answers its upgrade as the owner did, and copies until either end closes.
func (r *Relay) join(w http.ResponseWriter, response *http.Response, owner *end, s *shuttle) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = owner.conn.Close() // the owner takes the client for gone
		r.log.Error("a WebSocket cannot be relayed: its connection cannot be taken over", zapError(err))
		refuse(w, "Upgrades are not possible here")
		return
	}
	_ = conn.SetDeadline(time.Time{}) // net/http's, for the request
	s.client, s.owner = conn, owner.conn
	head := response.Header
	var answer strings.Builder
	answer.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = head.Write(&answer) // into memory
	answer.WriteString("\r\n")
	early, _ := owner.reader.Peek(owner.reader.Buffered())
	first, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	s.start([]byte(answer.String()), early, first)
}
