//go:build linux

package load

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Scenarios are the names that Options.Scenario may have.
var Scenarios = []string{"connect", "echo", "fanout", "rooms", "churn", "jitter", "storm", "roll"}

const (
	longest   = 30 * 24 * time.Hour
	mostNoted = 1 << 30 // messages of jitter, a byte each and client
)

// Transports of a client.
const (
	WebSocket = "websocket"
	Polling   = "polling"
)

// Options say what to do to which server. Defaults are those of [Defaults].
type Options struct {
	Scenario  string
	URLs      []string // http, https, ws or wss; clients alternate over them
	Path      string   // of the endpoint
	Transport string   // WebSocket or Polling
	EIO       int      // revision of Engine.IO: 3 or 4
	Token     string   // sent with each CONNECT as auth.token, to Socket.IO 2.x as the query parameter token
	Insecure  bool     // any certificate is accepted
	Deflate   bool     // WebSockets offer permessage-deflate without context takeover; what is sent stays plain

	Clients     int  // connections; subscribers of fanout, concurrent cycles of churn
	Concurrency int  // handshakes under way at once
	Publishers  int  // fanout
	EachNode    bool // fanout: at least one publisher on each URL, instead of all on the first
	All         bool // fanout: publish to everyone instead of to a room
	Size        int  // bytes of a payload, at least 32
	Rooms       int  // rooms, churn
	Members     int  // rooms: members of each room
	Shared      bool // rooms: Clients connections share the memberships; else one connection for each membership
	Residents   int  // churn: connections that stay, in rooms of RoomSize
	RoomSize    int
	Inflight    int // echo: requests under way for each client
	Window      int // publishes outstanding in a closed loop
	// Event is what echo sends. Of another one than echo any acknowledgement counts that is no refusal.
	Event string

	Rate     string        // publishes or requests a second in all; "auto" searches, "max" is a closed loop
	P99      time.Duration // search: the latency below which a step holds
	Duration time.Duration // measured
	Warmup   time.Duration // before it
	Step     time.Duration // search: measured at each step
	Drain    time.Duration // missing deliveries are given up after this long without any
	Hold     time.Duration // connect: how long connections stay idle
	Settle   time.Duration // between the last handshake and the load
	Life     time.Duration // churn: from join to leave
	Seed     uint64        // of every random choice

	CutEvery time.Duration // jitter: each client is cut once in this time
	CutFor   time.Duration // jitter, storm: how long it stays away before its first attempt
	HalfOpen bool          // jitter: the old connection stays open and silent, as a phone's that changes networks
	Every    time.Duration // jitter: between two broadcasts
	Kill     []int         // storm: processes to kill; none: all clients are cut

	RampTimeout      time.Duration // for all handshakes
	HandshakeTimeout time.Duration // for one, its join included
	Retries          int           // of a failed handshake, not in churn
	Tolerate         bool          // go on although handshakes failed

	Workers   int           // threads of the generator
	Addresses int           // clients come from 127.0.1.1 and so on, when the server is on loopback; 0: one for each 4,000
	Nap       time.Duration // an idle worker looks at its sockets this often, so that the server's writes need not wake it; 0: it blocks

	PIDs    []int  // of the server: memory and CPU
	AuxPIDs []int  // of Redis: CPU
	CPUs    string // of the server, such as 0-1: their busy time is reported

	Progress io.Writer // one line for each thing that happens; nil: none
}

// Defaults are the options of a scenario that nothing else was said about.
func Defaults(scenario string) Options {
	o := Options{
		Scenario: scenario, URLs: []string{"http://127.0.0.1:3000"}, Path: "/socket.io/", Transport: WebSocket, EIO: 4,
		Clients: 100, Concurrency: 100, Publishers: 1, Size: 128, Rooms: 1000, Members: 10, RoomSize: 10, Inflight: 1, Event: eventEcho, Window: 8,
		Rate: "auto", P99: 250 * time.Millisecond, Duration: 5 * time.Second, Warmup: time.Second, Step: 2500 * time.Millisecond,
		Drain: 3 * time.Second, Hold: 10 * time.Second, Settle: 300 * time.Millisecond, Seed: 1,
		CutEvery: 15 * time.Second, CutFor: 2 * time.Second, Every: 500 * time.Millisecond,
		RampTimeout: 3 * time.Minute, HandshakeTimeout: 10 * time.Second, Retries: 3,
		Workers: 2, Nap: 50 * time.Microsecond,
	}
	switch scenario {
	case "connect":
		o.Nap = 0
	case "echo":
		o.Rate = "max"
	case "fanout", "storm":
		o.Clients = 1000
	case "jitter":
		o.Clients, o.Duration = 200, 30*time.Second
	case "roll":
		o.Clients, o.Duration, o.Rate = 1000, time.Minute, "10"
	}
	if scenario == "storm" {
		o.Duration, o.CutFor = time.Minute, 0
	}
	return o
}

// Check refuses what cannot be run.
func (o *Options) Check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !slices.Contains(Scenarios, o.Scenario) {
		fault("no scenario %q", o.Scenario)
	}
	if len(o.URLs) == 0 {
		fault("no URL")
	}
	for _, text := range o.URLs {
		if _, err := parseURL(text); err != nil {
			faults = append(faults, err)
		}
	}
	if !strings.HasPrefix(o.Path, "/") || strings.ContainsFunc(o.Path, func(c rune) bool { return c <= ' ' || c > '~' || c == '?' || c == '#' }) {
		fault("path %q: begins with a slash and goes into a request as it is", o.Path)
	}
	if o.Transport != WebSocket && o.Transport != Polling {
		fault("transport %q: websocket or polling", o.Transport)
	}
	if o.EIO != 3 && o.EIO != 4 {
		fault("EIO %d: 3 or 4", o.EIO)
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"clients", o.Clients}, {"concurrency", o.Concurrency}, {"publishers", o.Publishers}, {"rooms", o.Rooms}, {"members", o.Members},
		{"room size", o.RoomSize}, {"inflight", o.Inflight}, {"window", o.Window}, {"workers", o.Workers},
	} {
		if n.value < 1 {
			fault("%s: %d is less than 1", n.name, n.value)
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"residents", o.Residents}, {"retries", o.Retries}, {"addresses", o.Addresses}} {
		if n.value < 0 {
			fault("%s: %d is less than 0", n.name, n.value)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"duration", o.Duration, 1}, {"step", o.Step, 1}, {"p99", o.P99, 1}, {"every", o.Every, 1}, {"handshake timeout", o.HandshakeTimeout, 1},
		{"ramp timeout", o.RampTimeout, 1}, {"warmup", o.Warmup, 0}, {"drain", o.Drain, 0}, {"hold", o.Hold, 0}, {"settle", o.Settle, 0},
		{"life", o.Life, 0}, {"cut for", o.CutFor, 0}, {"nap", o.Nap, 0},
	} {
		if d.value < d.least || d.value > longest {
			fault("%s: %v is not between %v and %v", d.name, d.value, d.least, longest)
		}
	}
	if o.Size > maxFrame {
		fault("size: %d is more than %d", o.Size, maxFrame)
	}
	for _, pid := range slices.Concat(o.PIDs, o.AuxPIDs, o.Kill) {
		if !processExists(pid) {
			fault("there is no process %d", pid)
		}
	}
	if o.CPUs != "" && len(parseCPUs(o.CPUs)) == 0 {
		fault("cpus %q: a list such as 0-1,4", o.CPUs)
	}
	if o.Scenario == "rooms" && o.Shared && o.Members > o.Clients {
		fault("%d members of a room need as many clients, not %d", o.Members, o.Clients)
	}
	if o.Scenario == "jitter" && o.CutEvery <= o.CutFor {
		fault("cut every %v for %v: a client would never be there", o.CutEvery, o.CutFor)
	}
	if o.Scenario == "jitter" && o.Every > 0 && (o.Duration < o.Every || int64(o.Duration/o.Every) > mostNoted/int64(max(o.Clients, 1))) {
		fault("a message every %v for %v: at least one, and at most %d for all clients together", o.Every, o.Duration, int64(mostNoted))
	}
	if o.Scenario == "jitter" && o.EIO == 3 {
		fault("jitter: Socket.IO 2.x has no recovery")
	}
	switch rate, err := o.rate(); {
	case err != nil:
		faults = append(faults, err)
	case o.Scenario == "echo" && rate < 0, o.Scenario == "roll" && rate <= 0:
		fault("%s: rate %s: a number is needed", o.Scenario, o.Rate)
	}
	o.Size = max(o.Size, payloadHeader)
	return errors.Join(faults...)
}

// rate is what Rate says as a number; 0 for a closed loop, below 0 for a search.
func (o *Options) rate() (float64, error) {
	switch o.Rate {
	case "auto":
		return -1, nil
	case "max":
		return 0, nil
	}
	rate, err := strconv.ParseFloat(o.Rate, 64)
	if err != nil || !(rate > 0) || rate > 1e9 {
		return 0, fmt.Errorf("rate %q: a number, auto or max", o.Rate)
	}
	return rate, nil
}
