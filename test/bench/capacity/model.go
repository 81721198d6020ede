package main

import "math"

// load is what clients do to a whole cluster.
type load struct {
	connections float64
	handshakes  float64 // a second
	publishes   float64 // a second
	room        float64 // members of the room that each publish goes to, anywhere in the cluster
	payload     float64 // bytes of an event's argument
}

// machine is what a node has.
type machine struct {
	cores       float64
	memory      float64 // bytes for connections; the rest is for what waits for slow clients
	connections float64 // descriptors
	share       float64 // of the cores that is to be used; the rest is for peaks
}

// demand is what a load takes.
type demand struct {
	nodes       float64 // infinite when no number is enough
	bound       string  // what decides their number
	cores       float64 // busy, all nodes together
	memory      float64 // bytes, all nodes together
	redisCores  float64 // of the one core that a Redis has
	network     float64 // bytes a second that each node sends to clients
	redisSends  float64 // bytes a second
	spread      float64 // seconds until the last member has been written to
	deliveries  float64 // a second
	redisLimits bool    // one Redis is not enough
}

// Bytes around an event's argument.
const (
	eventFrame  = 18 // 42["msg",""] and a WebSocket header
	packetFrame = 66 // TCP with timestamps, IPv4, Ethernet
	redisFrame  = 120
	pingPacket  = 3 + packetFrame
	pingSeconds = 25
)

// redisShare is how much of its core one Redis is to be used.
const redisShare = .6

// maxNodes is where the search ends: no cluster of ours has been tried with more than a handful.
const maxNodes = 10_000

// demand searches for the lowest number of nodes that holds the load. Members of a room are anywhere, so the nodes that
// receive a publish are those that chance gives a member.
func (c coefficients) demand(l load, m machine) demand {
	d := demand{deliveries: l.publishes * l.room}
	d.memory = l.connections * (c.connection + c.kernel)
	byMemory := math.Ceil(d.memory / m.memory)
	byDescriptors := math.Ceil(l.connections / m.connections)
	n := max(byMemory, byDescriptors, 1)
	switch {
	case n == 1:
		d.bound = "one is enough"
	case byMemory > byDescriptors:
		d.bound = "memory"
	default:
		d.bound = "descriptors"
	}
	for c.cores(l, n) > n*m.cores*m.share {
		d.bound = "CPU"
		if n++; n > maxNodes {
			n = math.Inf(1)
			break
		}
	}
	d.nodes = n
	d.cores = c.cores(l, n)
	d.memory += n * c.process
	if math.IsInf(n, 1) {
		return d
	}
	receiving := holders(n, l.room)
	if n > 1 {
		d.redisCores = c.redisCores(l.publishes, n, receiving)
		d.redisSends = l.publishes * receiving * (l.payload + redisFrame)
		d.redisLimits = d.redisCores > redisShare
	}
	d.network = (d.deliveries*(l.payload+eventFrame+packetFrame) + l.connections*pingPacket/pingSeconds) / n
	d.spread = l.room / n * c.delivery / m.cores
	return d
}

// redisCores is how much of its core Redis is busy with publishes of n nodes that each reach some of them.
func (c coefficients) redisCores(publishes, n, receiving float64) float64 {
	return publishes * (c.redis + c.subscriber*receiving) * c.shareLeft(publishes/n)
}

// redisPublishes is the rate at which Redis is busy for a share of its core, when n nodes publish and each receives all.
func (c coefficients) redisPublishes(share, n float64) float64 {
	low, high := 1., 1e9
	for range 100 {
		if middle := math.Sqrt(low * high); c.redisCores(middle, n, n) < share {
			low = middle
		} else {
			high = middle
		}
	}
	return math.Round(low)
}

// shareLeft is the share of Redis' cost that is left at a rate of each node, on straight lines between what was measured over the
// logarithm of the rate.
func (c coefficients) shareLeft(rate float64) float64 {
	for i, g := range c.gathers {
		switch {
		case rate >= g.rate:
		case i == 0:
			return g.share
		default:
			below := c.gathers[i-1]
			part := math.Log(rate/below.rate) / math.Log(g.rate/below.rate)
			return below.share + part*(g.share-below.share)
		}
	}
	if n := len(c.gathers); n > 0 {
		return c.gathers[n-1].share
	}
	return 1
}

// cores are how many are busy in a cluster of n nodes.
func (c coefficients) cores(l load, n float64) float64 {
	busy := l.connections*c.heartbeat + l.handshakes*c.handshake + l.publishes*(c.publish+l.room*c.delivery)
	if n > 1 {
		busy += l.publishes * holders(n, l.room) * c.relay
	}
	return busy
}

// holders is how many of n nodes can be expected to have at least one of a room's members.
func holders(n, members float64) float64 {
	if math.IsInf(n, 1) {
		return members
	}
	return n * (1 - math.Pow(1-1/n, members))
}
