package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// The engine is a fixed set of workers, each one OS thread with an epoll set
// and one shared read buffer. A connection belongs to one worker for life, so
// nothing about it is locked, and an idle one costs about 300 bytes of Go heap.

const (
	epollet             = 1 << 31
	ipBindAddressNoPort = 24
	sysEpollPwait2      = 441
)

type target struct {
	addr   [4]byte
	port   int
	host   string
	prefix string // request target up to and including the query, without transport
}

// Handler is a scenario. Every method but none other runs on the worker that
// owns c; a scenario keeps per-worker state in w.S.
type Handler interface {
	OnConnect(c *Conn)                  // namespace joined
	OnEvent(c *Conn, data []byte)       // EVENT packet, data from '[' on
	OnAck(c *Conn, id int, data []byte) // ACK packet, data from '[' on
	OnClose(c *Conn, err error)         // closed by the peer or failed
	OnTick(w *Worker, now int64) int64  // returns when it next wants to run
}

type Engine struct {
	targets   []target
	polling   bool
	srcIPs    int
	workers   []*Worker
	pids      []int
	auxPids   []int
	cpus      map[int]bool
	timeout   int64
	retries   int    // of a failed handshake
	auth      []byte // sent with CONNECT; empty: nothing
	nap       int64  // idle workers sleep this long instead of blocking in epoll_wait
	_         [64]byte
	delivered atomic.Int64 // pub/sub deliveries seen, all workers
	_         [64]byte
	mu        sync.Mutex
	errs      map[string]int
}

func (e *Engine) noteErr(what string) {
	e.mu.Lock()
	e.errs[what]++
	e.mu.Unlock()
}

func (e *Engine) errCount() (n int) {
	e.mu.Lock()
	for _, k := range e.errs {
		n += k
	}
	e.mu.Unlock()
	return
}

func parseTarget(raw, path, transport string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, err
	}
	if u.Scheme != "http" && u.Scheme != "ws" {
		return target{}, fmt.Errorf("%s: only http:// and ws:// are supported", raw)
	}
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = "80"
	}
	ip, err := net.ResolveTCPAddr("tcp4", net.JoinHostPort(host, port))
	if err != nil {
		return target{}, err
	}
	t := target{port: ip.Port, host: u.Host}
	copy(t.addr[:], ip.IP.To4())
	t.prefix = path + "?EIO=4&transport=" + transport
	return t, nil
}

const (
	sockConnecting = iota
	sockUpgrading
	sockOpen
	sockClosed
)

const (
	kindWS = iota
	kindGet
	kindPost
)

// Sock is one TCP socket.
type Sock struct {
	fd    int32
	slot  int32
	gen   int32
	kind  uint8
	state uint8
	armed bool // EPOLLOUT registered
	dirty bool
	busy  bool // polling: a request is in flight
	c     *Conn
	in    []byte // an incomplete frame or response
	out   []byte // not yet written
	frag  []byte // websocket: message so far of a fragmented message
}

const (
	stConnecting = iota
	stReady
	stClosed
)

// Conn is one Socket.IO client.
type Conn struct {
	w      *Worker
	id     int
	url    int
	state  uint8
	role   uint8
	opened bool // open packet seen
	tries  uint8
	ramp   bool  // counts against the worker's handshake concurrency
	s      *Sock // websocket, or the GET side
	p      *Sock // polling: the POST side
	sid    string
	pq     []byte // polling: packets not yet posted

	tStart, tConn, tReady int64

	// scenario state
	room   int32
	nextID int
	last   []uint32
	slots  []int64
}

type Worker struct {
	id    int
	e     *Engine
	h     Handler
	ep    int
	wake  int
	socks []*Sock
	free  []int32
	gen   int32
	buf   []byte
	now   int64
	next  int64
	dirty []*Sock
	mask  uint32
	S     any // scenario state

	rampQ    []*Conn
	rampMax  int
	inflight map[*Conn]struct{}
	ready    atomic.Int64
	failed   atomic.Int64
	retried  atomic.Int64
	connHist *Hist
	lastScan int64
	reads    uint64

	cmdMu  sync.Mutex
	cmds   []func(*Worker)
	hasCmd atomic.Bool
}

func newEngine(urls []string, path string, polling bool, nw, srcIPs int) (*Engine, error) {
	e := &Engine{polling: polling, srcIPs: srcIPs, errs: map[string]int{}, timeout: 30e9}
	tr := "websocket"
	if polling {
		tr = "polling"
	}
	for _, u := range urls {
		t, err := parseTarget(u, path, tr)
		if err != nil {
			return nil, err
		}
		e.targets = append(e.targets, t)
	}
	for i := range nw {
		ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
		if err != nil {
			return nil, err
		}
		efd, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
		if errno != 0 {
			return nil, errno
		}
		w := &Worker{id: i, e: e, ep: ep, wake: int(efd), buf: make([]byte, 512<<10),
			inflight: map[*Conn]struct{}{}, connHist: newHist(), mask: uint32(nanotime())*2654435761 | 1}
		ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: -1}
		if err := syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, int(efd), &ev); err != nil {
			return nil, err
		}
		e.workers = append(e.workers, w)
	}
	return e, nil
}

// handle makes h the handler of every worker.
func (e *Engine) handle(h Handler) { e.do(func(w *Worker) { w.h = h }) }

func (e *Engine) start() {
	for _, w := range e.workers {
		w.h = &idle{}
		go w.run()
	}
}

// do runs f on every worker and waits for all of them.
func (e *Engine) do(f func(w *Worker)) {
	var wg sync.WaitGroup
	for _, w := range e.workers {
		wg.Add(1)
		w.post(func(w *Worker) { f(w); wg.Done() })
	}
	wg.Wait()
}

func (w *Worker) post(f func(*Worker)) {
	w.cmdMu.Lock()
	w.cmds = append(w.cmds, f)
	w.cmdMu.Unlock()
	w.hasCmd.Store(true)
	one := [8]byte{1}
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(w.wake), uintptr(unsafe.Pointer(&one)), 8)
}

func (w *Worker) run() {
	runtime.LockOSThread()
	const prSetTimerslack = 29
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerslack, 1000, 0)
	var evs [256]syscall.EpollEvent
	w.now = nanotime()
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(w.ep), uintptr(unsafe.Pointer(&evs[0])), uintptr(len(evs)), 0, 0, 0)
		if errno != 0 {
			n = 0
		}
		if n == 0 && !w.hasCmd.Load() {
			d := w.next - nanotime()
			if d > 100e6 {
				d = 100e6
			}
			if nap := w.e.nap; d > 0 && nap > 0 {
				ts := syscall.NsecToTimespec(min(d, nap))
				_ = syscall.Nanosleep(&ts, nil)
			} else if d > 0 {
				ts := syscall.NsecToTimespec(d)
				n, _, errno = syscall.Syscall6(sysEpollPwait2, uintptr(w.ep), uintptr(unsafe.Pointer(&evs[0])), uintptr(len(evs)), uintptr(unsafe.Pointer(&ts)), 0, 0)
				if errno != 0 {
					n = 0
				}
			}
		}
		w.now = nanotime()
		for i := range evs[:n] {
			ev := &evs[i]
			if ev.Fd < 0 {
				var b [8]byte
				_, _, _ = syscall.RawSyscall(syscall.SYS_READ, uintptr(w.wake), uintptr(unsafe.Pointer(&b)), 8)
				continue
			}
			s := w.socks[ev.Fd]
			if s == nil || s.gen != ev.Pad {
				continue
			}
			if ev.Events&syscall.EPOLLOUT != 0 {
				w.writable(s)
			}
			if s.state != sockClosed && ev.Events&^uint32(syscall.EPOLLOUT) != 0 {
				w.readable(s)
			}
		}
		w.now = nanotime()
		if w.hasCmd.Load() {
			w.cmdMu.Lock()
			cs := w.cmds
			w.cmds = nil
			w.hasCmd.Store(false)
			w.cmdMu.Unlock()
			for _, f := range cs {
				f(w)
			}
			w.next = 0
		}
		if w.now >= w.next {
			w.next = w.h.OnTick(w, w.now)
			w.scan()
		}
		w.flush()
	}
}

// scan fails handshakes that take longer than the timeout.
func (w *Worker) scan() {
	if w.now-w.lastScan < 500e6 {
		return
	}
	w.lastScan = w.now
	for c := range w.inflight {
		if w.now-c.tStart > w.e.timeout {
			w.fail(c, errors.New("handshake timeout "+c.stage()))
		}
	}
}

// stage says how far a handshake has come.
func (c *Conn) stage() string {
	switch {
	case c.state == stReady:
		return "waiting for the join's ack"
	case c.opened:
		return "waiting for the namespace's connect"
	case c.s != nil && c.s.state == sockOpen:
		return "waiting for the open packet"
	case c.s != nil && c.s.state == sockUpgrading:
		return "waiting for the upgrade"
	}
	return "waiting for tcp"
}

// Ramp queues connections; at most max are in their handshake at a time.
func (w *Worker) Ramp(cs []*Conn, max int) {
	w.rampQ = append(w.rampQ, cs...)
	w.rampMax = max
	w.pump()
}

func (w *Worker) pump() {
	for len(w.rampQ) > 0 && len(w.inflight) < w.rampMax {
		c := w.rampQ[0]
		w.rampQ = w.rampQ[1:]
		w.Open(c)
	}
}

// Open starts the handshake of c.
func (w *Worker) Open(c *Conn) {
	c.w = w
	c.state = stConnecting
	c.ramp, c.opened = true, false
	c.sid = ""
	c.pq = c.pq[:0]
	c.tStart = nanotime()
	w.inflight[c] = struct{}{}
	k := uint8(kindWS)
	if w.e.polling {
		k = kindGet
	}
	s, err := w.dial(c, k)
	c.s = s
	if err != nil {
		w.fail(c, err)
		return
	}
	t := &w.e.targets[c.url]
	if k == kindWS {
		s.out = append(s.out, "GET "...)
		s.out = append(s.out, t.prefix...)
		s.out = append(s.out, " HTTP/1.1\r\nHost: "...)
		s.out = append(s.out, t.host...)
		s.out = append(s.out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n"...)
	} else {
		w.get(c)
	}
	w.markDirty(s)
}

// Ready ends the handshake phase of c (after the join, where there is one).
func (w *Worker) Ready(c *Conn) {
	if !c.ramp {
		return
	}
	c.ramp = false
	delete(w.inflight, c)
	c.tReady = w.now
	w.ready.Add(1)
	w.pump()
}

func (w *Worker) dial(c *Conn, kind uint8) (*Sock, error) {
	s := &Sock{fd: -1, c: c, kind: kind}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		s.state = sockClosed
		return s, fmt.Errorf("socket: %w", err)
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if n := w.e.srcIPs; n > 0 {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
		sa := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 1, byte(1 + c.id%n)}}
		if err := syscall.Bind(fd, sa); err != nil {
			syscall.Close(fd)
			s.state = sockClosed
			return s, fmt.Errorf("bind: %w", err)
		}
	}
	t := &w.e.targets[c.url]
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: t.port, Addr: t.addr})
	if err != nil && err != syscall.EINPROGRESS {
		syscall.Close(fd)
		s.state = sockClosed
		return s, fmt.Errorf("connect: %w", err)
	}
	s.fd = int32(fd)
	if k := len(w.free); k > 0 {
		s.slot = w.free[k-1]
		w.free = w.free[:k-1]
		w.socks[s.slot] = s
	} else {
		s.slot = int32(len(w.socks))
		w.socks = append(w.socks, s)
	}
	w.gen++
	s.gen = w.gen
	s.armed = true
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT, Fd: s.slot, Pad: s.gen}
	if err := syscall.EpollCtl(w.ep, syscall.EPOLL_CTL_ADD, fd, &ev); err != nil {
		w.closeSock(s, false)
		return s, err
	}
	return s, nil
}

func (w *Worker) arm(s *Sock, out bool) {
	if s.armed == out {
		return
	}
	s.armed = out
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: s.slot, Pad: s.gen}
	if out {
		ev.Events |= syscall.EPOLLOUT
	}
	_ = syscall.EpollCtl(w.ep, syscall.EPOLL_CTL_MOD, int(s.fd), &ev)
}

func (w *Worker) closeSock(s *Sock, reset bool) {
	if s == nil || s.state == sockClosed {
		return
	}
	s.state = sockClosed
	if s.fd >= 0 {
		if reset { // no TIME_WAIT: churn would run out of ports
			_ = syscall.SetsockoptLinger(int(s.fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
		}
		syscall.Close(int(s.fd))
		w.socks[s.slot] = nil
		w.free = append(w.free, s.slot)
	}
	s.in, s.out, s.frag = nil, nil, nil
}

// Close drops c without telling the handler.
func (w *Worker) Close(c *Conn, reset bool) {
	w.closeSock(c.s, reset)
	w.closeSock(c.p, reset)
	c.state = stClosed
	if c.ramp {
		c.ramp = false
		delete(w.inflight, c)
	}
}

func (w *Worker) fail(c *Conn, err error) {
	if c.state == stClosed {
		return
	}
	ramping := c.ramp
	w.Close(c, false)
	what := err.Error()
	if ramping {
		what = "handshake: " + what
	}
	w.e.noteErr(what)
	if ramping && int(c.tries) < w.e.retries {
		c.tries++
		w.retried.Add(1)
		w.rampQ = append(w.rampQ, c)
		w.pump()
		return
	}
	if ramping {
		w.failed.Add(1)
	}
	w.h.OnClose(c, err)
	if ramping {
		w.pump()
	}
}

func (w *Worker) markDirty(s *Sock) {
	if !s.dirty {
		s.dirty = true
		w.dirty = append(w.dirty, s)
	}
}

func (w *Worker) flush() {
	for i := 0; i < len(w.dirty); i++ { // a failing write may append
		s := w.dirty[i]
		s.dirty = false
		if s.state != sockClosed {
			w.write(s)
		}
	}
	w.dirty = w.dirty[:0]
}

func (w *Worker) write(s *Sock) {
	for len(s.out) > 0 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&s.out[0])), uintptr(len(s.out)), syscall.MSG_NOSIGNAL, 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno == syscall.EAGAIN || errno == syscall.ENOTCONN {
			w.arm(s, true)
			return
		}
		if errno != 0 {
			w.fail(s.c, fmt.Errorf("write: %w", errno))
			return
		}
		if s.state == sockConnecting {
			s.state = sockUpgrading
			if s.kind != kindWS {
				s.state = sockOpen
			}
		}
		if int(n) == len(s.out) {
			if cap(s.out) > 4096 {
				s.out = nil
			} else {
				s.out = s.out[:0]
			}
			break
		}
		s.out = s.out[n:]
	}
	w.arm(s, false)
}

func (w *Worker) writable(s *Sock) {
	if s.state == sockConnecting {
		v, err := syscall.GetsockoptInt(int(s.fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		if err == nil && v != 0 {
			err = syscall.Errno(v)
		}
		if err != nil {
			w.fail(s.c, fmt.Errorf("connect: %w", err))
			return
		}
	}
	w.write(s)
}

func (w *Worker) readable(s *Sock) {
	n0 := 0
	if len(s.in) > 0 {
		if len(s.in) > len(w.buf)/2 {
			nb := make([]byte, len(s.in)*4)
			w.buf = nb
		}
		n0 = copy(w.buf, s.in)
	}
	// 64 KiB is enough to drain a socket's usual backlog and stays in L2.
	end := min(n0+64<<10, len(w.buf))
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&w.buf[n0])), uintptr(end-n0), 0, 0, 0)
	if errno == syscall.EAGAIN || errno == syscall.EINTR {
		return
	}
	if errno != 0 {
		w.fail(s.c, fmt.Errorf("read: %w", errno))
		return
	}
	if n == 0 {
		if s.kind != kindWS && s.c.state == stReady && !s.busy {
			w.closeSock(s, false) // an idle keep-alive connection may go
			return
		}
		w.fail(s.c, errors.New("closed by server"))
		return
	}
	w.reads++
	w.now = nanotime()
	data := w.buf[:n0+int(n)]
	var rest []byte
	var err error
	if s.kind == kindWS {
		rest, err = w.wsInput(s, data)
	} else {
		rest, err = w.httpInput(s, data)
	}
	if err != nil {
		w.fail(s.c, err)
		return
	}
	if s.state == sockClosed {
		return
	}
	if len(rest) == 0 {
		if cap(s.in) > 8192 {
			s.in = nil
		} else {
			s.in = s.in[:0]
		}
	} else {
		s.in = append(s.in[:0], rest...)
	}
}

// packet handles one Engine.IO packet.
func (w *Worker) packet(c *Conn, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	switch p[0] {
	case '4':
		if len(p) < 2 {
			return errors.New("empty message packet")
		}
		switch p[1] {
		case '2':
			d := p[2:]
			if len(d) > 0 && d[0] == '[' {
				w.h.OnEvent(c, d)
				return nil
			}
			for i, b := range d {
				if b == '[' {
					w.h.OnEvent(c, d[i:])
					break
				}
			}
		case '3':
			id, i := 0, 2
			for i < len(p) && p[i] >= '0' && p[i] <= '9' {
				id = id*10 + int(p[i]-'0')
				i++
			}
			w.h.OnAck(c, id, p[i:])
		case '0':
			if c.state == stConnecting {
				c.state = stReady
				c.tConn = w.now
				w.connHist.Add(w.now - c.tStart)
				w.h.OnConnect(c)
			}
		case '1':
			return errors.New("disconnected by server")
		case '4':
			return fmt.Errorf("connect refused: %.80s", p[2:])
		}
	case '2':
		w.Send(c, []byte("3"))
	case '0':
		c.opened = true
		if w.e.polling {
			sid, err := openSID(p[1:])
			if err != nil {
				return err
			}
			c.sid = sid
		}
		w.Send(c, []byte("40"), w.e.auth)
	case '1':
		return errors.New("engine closed by server")
	}
	return nil
}

// Send queues one Engine.IO packet given in pieces.
func (w *Worker) Send(c *Conn, parts ...[]byte) {
	if c.state == stClosed {
		return
	}
	if w.e.polling {
		if len(c.pq) > 0 {
			c.pq = append(c.pq, 0x1e)
		}
		for _, p := range parts {
			c.pq = append(c.pq, p...)
		}
		w.pushPost(c)
		return
	}
	s := c.s
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	s.out = append(s.out, 0x81)
	switch {
	case n < 126:
		s.out = append(s.out, 0x80|byte(n))
	case n < 65536:
		s.out = append(s.out, 0x80|126, byte(n>>8), byte(n))
	default:
		s.out = append(s.out, 0x80|127)
		s.out = binary.BigEndian.AppendUint64(s.out, uint64(n))
	}
	w.mask = w.mask*1664525 + 1013904223
	s.out = binary.LittleEndian.AppendUint32(s.out, w.mask)
	i := len(s.out)
	for _, p := range parts {
		s.out = append(s.out, p...)
	}
	xorMask(s.out[i:], w.mask)
	w.markDirty(s)
}

func xorMask(b []byte, m uint32) {
	mm := uint64(m)<<32 | uint64(m)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^mm)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(m >> (8 * uint(i&3)))
	}
}

// raiseRlimit lifts the descriptor limit as far as it goes and returns it.
func raiseRlimit() uint64 {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0
	}
	for _, want := range []uint64{1 << 20, 200000, r.Max} {
		if want < r.Max {
			continue
		}
		n := syscall.Rlimit{Cur: want, Max: want}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &n) == nil {
			return want
		}
	}
	return r.Cur
}

// waitUntil polls cond every millisecond until it holds or d has passed.
func waitUntil(d time.Duration, cond func() bool) bool {
	end := time.Now().Add(d)
	for !cond() {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}

func logf(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...) }
