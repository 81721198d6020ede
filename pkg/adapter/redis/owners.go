package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// maxLookUps bounds the look-ups of unknown tags between two heartbeats. Tags of new nodes are known after that anyway, so
// only guesses could ask for more.
const maxLookUps = 100

// Owners are the addresses of the other nodes whose sockets' ids begin with tag: those that are alive and have one. Two
// nodes may share a tag for as long as the sockets live that one of them made before it gave the tag up. A tag of no node
// that is known is looked up once: its node may have joined a moment ago.
func (a *Adapter) Owners(ctx context.Context, tag string) ([]string, error) {
	owners, known := a.membership.owners(tag)
	if !known && len(tag) == tagLength && a.membership.mayLookUp() {
		found, err := outlive(ctx, func() ([]record, error) {
			r, ok, err := a.membership.register.owner(ctx, tag)
			if !ok || r.ID == a.config.NodeID {
				return nil, err
			}
			return []record{r}, err
		})
		if err != nil {
			return nil, err
		}
		a.membership.remember(tag, found)
		owners = found
	}
	var addresses []string
	for _, owner := range owners {
		if owner.Address != "" {
			addresses = append(addresses, owner.Address)
		}
	}
	return addresses, nil
}

// Nodes returns the addresses of all nodes of a cluster that are alive and have one, by their ids: for a process that is
// none of them. prefix is Config.Prefix.
func Nodes(ctx context.Context, client goredis.UniversalClient, prefix string) (map[string]string, error) {
	records, err := register{client: client, keys: nodeKeys{prefix}}.all(ctx, "")
	if err != nil {
		return nil, err
	}
	nodes := make(map[string]string)
	for _, r := range records {
		if r.Address != "" && !r.Left {
			nodes[r.ID] = r.Address
		}
	}
	return nodes, nil
}

// Tags are what the ids of this node's sockets begin with: the one for new ids and those that it has given up.
func (a *Adapter) Tags() []string { return a.membership.claimedFirst(a.tags.all()) }

// NodeID is the name of this node in the cluster.
func (a *Adapter) NodeID() string { return a.config.NodeID }

// owners are the nodes with a tag. known: at least one other node has it, or this one.
func (m *membership) owners(tag string) (owners []record, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if owners = m.peers.withTag(tag); len(owners) == 0 {
		owners = m.found[tag]
	}
	return owners, len(owners) > 0 || tag == m.tag && !m.conflict
}

// remember keeps what a look-up found until the next heartbeat, which brings the node's record: until then every request
// for one of its sessions asks for the same tag.
func (m *membership) remember(tag string, owners []record) {
	if len(owners) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.found == nil {
		m.found = make(map[string][]record)
	}
	m.found[tag] = owners
}

func (m *membership) mayLookUp() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookUps++
	return m.lookUps <= maxLookUps
}

// describe is what this node writes about itself.
func (a *Adapter) describe() record {
	state, address := a.State(), ""
	if a.config.PeerAddress != nil {
		address = a.config.PeerAddress()
	}
	return record{
		ID:      a.config.NodeID,
		Tags:    a.tags.all(),
		Address: address,
		Version: a.config.Version,
		Probes:  a.dialect.probes(),
		Deaf:    state.Ready && state.Deaf,
	}
}
