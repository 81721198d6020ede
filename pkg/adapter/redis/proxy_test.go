package redis_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy passes connections on, and can make some hear nothing any more without ending them.
type proxy struct {
	address string
	target  string

	mu     sync.Mutex
	change *sync.Cond
	pairs  []*pair
	closed bool
	// What goes to the clients, or to the server, is held back.
	muteIn, muteOut bool
	latency         time.Duration // of what goes to the clients
}

type pair struct {
	client, server net.Conn

	mu         sync.Mutex
	subscribed bool
	deaf       bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: listener.Addr().String(), target: target}
	p.change = sync.NewCond(&p.mu)
	var group sync.WaitGroup
	group.Go(func() { p.accept(listener, &group) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.mu.Lock()
		p.closed = true
		p.change.Broadcast()
		for _, c := range p.pairs {
			c.close()
		}
		p.mu.Unlock()
		group.Wait()
	})
	return p
}

func (p *proxy) accept(listener net.Listener, group *sync.WaitGroup) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			_ = client.Close()
			continue
		}
		c := &pair{client: client, server: server}
		p.mu.Lock()
		p.pairs = append(p.pairs, c)
		p.mu.Unlock()
		group.Go(func() { c.pass(client, c.outbound, func() { p.held(&p.muteOut) }, write(server)) })
		late := make(chan chunk, 10_000)
		group.Go(func() { c.pass(server, c.inbound, func() { p.held(&p.muteIn) }, p.delay(late)) })
		group.Go(func() { c.deliver(client, late) })
	}
}

// mute holds back whatever goes in one direction on all connections, present and future, or lets it go.
func (p *proxy) mute(toClients, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if toClients {
		p.muteIn = on
	} else {
		p.muteOut = on
	}
	p.change.Broadcast()
}

// held waits while a direction is mute.
func (p *proxy) held(mute *bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for *mute && !p.closed {
		p.change.Wait()
	}
}

// deafen makes the present connections deaf: those that have subscribed to something, or the others.
func (p *proxy) deafen(subscribed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.pairs {
		c.mu.Lock()
		c.deaf = c.subscribed == subscribed
		c.mu.Unlock()
	}
}

func (c *pair) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

func (c *pair) pass(from net.Conn, look func([]byte) bool, held func(), on func([]byte) error) {
	defer c.close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			_ = on(nil)
			return
		}
		held()
		if look(buffer[:n]) && on(buffer[:n]) != nil {
			return
		}
	}
}

func write(to net.Conn) func([]byte) error {
	return func(data []byte) error {
		_, err := to.Write(data)
		return err
	}
}

// chunk is what goes to a client, and when.
type chunk struct {
	at   time.Time
	data []byte
}

// delay passes on with the latency of the moment; nil is the end.
func (p *proxy) delay(late chan<- chunk) func([]byte) error {
	return func(data []byte) error {
		if data == nil {
			close(late)
			return nil
		}
		p.mu.Lock()
		latency := p.latency
		p.mu.Unlock()
		late <- chunk{time.Now().Add(latency), bytes.Clone(data)}
		return nil
	}
}

func (c *pair) deliver(to net.Conn, late <-chan chunk) {
	defer c.close()
	for chunk := range late {
		time.Sleep(time.Until(chunk.at))
		_, _ = to.Write(chunk.data)
	}
}

// lead sends connections to come to another server.
func (p *proxy) lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *proxy) slow(latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = latency
}

func (c *pair) outbound(data []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribed = c.subscribed || bytes.Contains(data, []byte("subscribe"))
	return true
}

func (c *pair) inbound([]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.deaf
}
