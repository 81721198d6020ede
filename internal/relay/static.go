package relay

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// tags is a node's answer at tagsPath.
type tags struct {
	Node string   `json:"node"`
	Tags []string `json:"tags"`
}

// How long a static list's answers are believed, and how often a tag that none of them names makes it ask again.
const (
	tagsAge   = 5 * time.Second
	tagsAgain = time.Second
)

// Static is a Directory for nodes that are listed in the configuration: it asks each for its tags. Safe for concurrent
// use.
type Static struct {
	// Static after construction.
	node  string
	nodes []*url.URL
	peers Peers

	mu sync.Mutex
	// mu guards the following. It is held while the nodes are asked: requests that need the answer wait for it.
	owners map[string][]string // base URLs by tag
	asked  time.Time
}

// NewStatic makes a directory of the nodes at these base URLs. node is this process's own name: it may stand in the
// list itself.
func NewStatic(node string, nodes []*url.URL, secret func() []byte) *Static {
	return &Static{node: node, nodes: nodes, peers: Peers{Secret: secret, Client: &http.Client{Transport: &http.Transport{}}}}
}

// Owners implements [Directory]. A node that does not answer has no tags.
func (s *Static) Owners(ctx context.Context, tag string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := time.Since(s.asked)
	if age > tagsAge || age > tagsAgain && s.owners[tag] == nil {
		s.owners, s.asked = s.ask(ctx), time.Now()
	}
	return s.owners[tag], nil
}

// Others returns a tag of each node that answers, this process left out.
func (s *Static) Others(ctx context.Context) (list []string) {
	seen := make(map[string]bool)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners, s.asked = s.ask(ctx), time.Now()
	for tag, bases := range s.owners {
		if !seen[bases[0]] {
			seen[bases[0]] = true
			list = append(list, tag)
		}
	}
	return list
}

// ask asks all nodes at once.
func (s *Static) ask(ctx context.Context) map[string][]string {
	answers := make([]tags, len(s.nodes))
	var asking sync.WaitGroup
	for i, node := range s.nodes {
		asking.Go(func() { answers[i], _ = s.peers.tags(ctx, node.String()) }) // one that does not answer has no tags
	}
	asking.Wait()
	owners := make(map[string][]string)
	for i, a := range answers {
		if a.Node == s.node {
			continue
		}
		for _, tag := range a.Tags {
			if base := s.nodes[i].String(); !slices.Contains(owners[tag], base) {
				owners[tag] = append(owners[tag], base)
			}
		}
	}
	return owners
}

// Close gives idle connections up.
func (s *Static) Close() { s.peers.Client.CloseIdleConnections() }
