package redispeers

import (
	"context"
	"crypto/rand"
	"encoding/base64"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

const (
	// TagLength is that of a tag, in characters.
	TagLength = 4
	// MaxTags bounds the tags of one node: the pattern of each costs Redis time with every message. A node needs a second
	// one only after two drew the same tag.
	MaxTags = 4
	// maxLookUps bounds the look-ups of unknown tags between two heartbeats. Tags of new nodes are known after that anyway, so
	// only guesses could ask for more.
	maxLookUps = 100
)

// NewTag draws a tag, of URL-safe characters that mean nothing in a pattern.
func NewTag() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// settleTag keeps the tag, or gives it up for another where another node has it: else both nodes would go on to receive
// what is published to a socket of either.
func (m *Membership) settleTag(ctx context.Context, self Record, holder string) error {
	tag := self.Tags[0]
	m.mu.Lock()
	before := m.conflict
	m.conflict = holder != self.ID
	m.mu.Unlock()
	if holder == self.ID {
		return nil
	}
	if !before {
		m.TagConflicts.Inc()
		m.Logger.Warn("tag belongs to another node", zap.String("tag", tag), zap.String("node", holder))
	}
	// A tag that cannot be had is followed by another draw with the next heartbeat.
	tag = NewTag()
	taken, err := m.register.claim(ctx, tag, self.ID)
	if err != nil || !taken {
		return err
	}
	if !m.Adopt(tag) {
		return m.register.disclaim(ctx, tag)
	}
	m.mu.Lock()
	m.tag, m.conflict = tag, false
	m.mu.Unlock()
	m.Logger.Info("another tag drawn", zap.String("tag", tag))
	return nil
}

// ClaimedFirst returns the tags of this node, the claimed one in front.
func (m *Membership) ClaimedFirst(all []string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	tags := make([]string, 0, len(all)+1)
	if m.tag != "" {
		tags = append(tags, m.tag)
	}
	for _, tag := range all {
		if tag != m.tag {
			tags = append(tags, tag)
		}
	}
	return tags
}

// Owners are the addresses of the other nodes that have a tag: those that are alive and have an address. Two nodes may
// share a tag for as long as the sockets live that one of them made before it gave the tag up. A tag of no node that is
// known is looked up once: its node may have joined a moment ago.
func (m *Membership) Owners(ctx context.Context, tag string) (addresses []string, err error) {
	owners, known := m.owners(tag)
	if !known && len(tag) == TagLength && m.mayLookUp() {
		if owners, err = m.lookUp(ctx, tag); err != nil {
			return nil, err
		}
	}
	for _, owner := range owners {
		if owner.Address != "" {
			addresses = append(addresses, owner.Address)
		}
	}
	return addresses, nil
}

// owners are the nodes with a tag. known: at least one other node has it, or this one, or a look-up since the last heartbeat
// found none: so the many clients of a node that was killed do not use up the look-ups that other tags need.
func (m *Membership) owners(tag string) (owners []Record, known bool) {
	owners = m.withTag(tag)
	m.mu.Lock()
	defer m.mu.Unlock()
	asked := false
	if len(owners) == 0 {
		owners, asked = m.found[tag]
	}
	return owners, len(owners) > 0 || asked || tag == m.tag && !m.conflict
}

func (m *Membership) mayLookUp() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookUps++
	return m.lookUps <= maxLookUps
}

// lookUp asks Redis for the node with a tag. Its answer is kept until the next heartbeat, which brings the record of a node
// that is new: until then every request for one of its sessions asks for the same tag.
func (m *Membership) lookUp(ctx context.Context, tag string) ([]Record, error) {
	var owner Record
	var ok bool
	err := redisconn.Within(ctx, func() (err error) {
		owner, ok, err = m.register.owner(ctx, tag)
		return err
	})
	if err != nil {
		return nil, err
	}
	var owners []Record
	if ok && owner.ID != m.ID {
		owners = []Record{owner}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.found == nil {
		m.found = make(map[string][]Record)
	}
	m.found[tag] = owners
	return owners, nil
}
