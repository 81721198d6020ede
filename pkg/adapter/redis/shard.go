package redis

import (
	"context"
	"strconv"
	"sync"

	"github.com/carillon-io/carillon/internal/rediswire"
)

// shard is one master, with a connection to subscribe and one to publish.
type shard struct {
	// Static after construction.
	shards     *shards
	address    string
	subscriber *subscriber
	publisher  *publisher
	watchdog   *watchdog
	lane       *lane
	end        context.CancelFunc // set by start
}

// newShard makes a shard that is to serve the slot.
func newShard(s *shards, address string, slot uint16, from source) *shard {
	sh := &shard{shards: s, address: address, lane: newLane()}
	cfg := s.adapter.config
	cfg.Tag = "" // a sharded channel has no patterns
	probe := probeIn(cfg, func(other uint16) bool { return other == slot })
	sh.subscriber = newSubscriber(cfg, from, probe, s.adapter.namespaces, s.adapter.metrics, s.adapter.refusals)
	sh.subscriber.shard = sh
	sh.subscriber.table.sharded = true
	sh.subscriber.table.bySlot = s.topology != nil
	sh.publisher = &publisher{
		source: from, queue: s.queue, lane: sh.lane, log: cfg.Logger, metrics: s.adapter.metrics,
		refusals: s.adapter.refusals, changed: s.adapter.showConnected, trouble: s.trouble,
		moved: sh.redirected,
	}
	sh.watchdog = newWatchdog(sh.subscriber, sh.publisher)
	sh.subscriber.message = sh.receive
	sh.subscriber.attached = sh.watchdog.listening
	sh.subscriber.trouble = s.trouble
	return sh
}

func (sh *shard) serves(slot uint16) bool { return sh.shards.owner(slot) == sh }

// start serves until ctx ends or the shard does.
func (sh *shard) start(ctx context.Context) {
	ctx, sh.end = context.WithCancel(ctx)
	sh.shards.group.Go(func() {
		var group sync.WaitGroup
		group.Go(func() { sh.subscriber.receive(ctx) })
		group.Go(func() { sh.subscriber.command(ctx, sh.shards.adapter.node) })
		group.Go(func() { sh.watchdog.run(ctx) })
		group.Go(func() { sh.publisher.run(ctx) })
		group.Wait()
		sh.subscriber.close()
	})
}

func (sh *shard) receive(in interest, payload string) {
	if in.kind == kindProbe {
		sh.watchdog.received(payload)
		return
	}
	sh.shards.adapter.receiveSharded(in, payload)
}

// probeHere sees that the probes go through a channel that this shard serves.
func (sh *shard) probeHere() {
	if !sh.serves(sh.subscriber.currentProbe().slot) {
		sh.subscriber.setProbe(probeIn(sh.shards.adapter.config, sh.serves))
	}
}

// probeIn finds a name for the channel of this node's probes in one of the slots that serves accepts. There must be
// one.
func probeIn(cfg Config, serves func(slot uint16) bool) interest {
	for i := 0; ; i++ {
		tag := strconv.Itoa(i)
		if slot := rediswire.Slot(tag); serves(slot) {
			channel := cfg.Prefix + ":probe:" + cfg.NodeID + ":{" + tag + "}"
			return interest{channel: channel, kind: kindProbe, slot: slot}
		}
	}
}

// move takes in that another master serves a slot, and reports whether that helps: not when a master sends us to
// itself, nor when the caller's client is not for clusters.
func (sh *shard) move(slot uint16, address string) bool {
	if address == sh.address || sh.shards.topology == nil {
		return false
	}
	sh.shards.move(slot, address)
	return true
}

// forward hands on what has moved to another shard while nobody but this one knew of it.
func (sh *shard) forward(hints map[string]interest) {
	for _, in := range hints {
		if !sh.serves(in.slot) {
			sh.shards.hint(in)
		}
	}
}

// rehome hands what this shard does not serve to those that do.
func (sh *shard) rehome() { sh.shards.rehome() }

// redirected takes in what was answered to a message.
func (sh *shard) redirected(err error) bool {
	slot, address, ok := movedTo(err, sh.address)
	return ok && sh.move(slot, address)
}
