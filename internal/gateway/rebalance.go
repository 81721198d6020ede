package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/relay"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// Rebalancing says when a node has too many sessions, and how fast it lets go of them.
type Rebalancing struct {
	Above float64 // times the mean of all nodes, over 1
	Rate  float64 // sessions that one node closes in a second
	Dry   bool    // only say what would be done
}

// askTimeout bounds the wait for each node.
const askTimeout = 5 * time.Second

// Rebalance asks all nodes of a configuration how many sessions they have, and those with far more than the mean to close
// the surplus slowly: its clients connect anew, wherever the balancer sends them. It writes a table of what it found to out.
func Rebalance(ctx context.Context, cfg config.Config, r Rebalancing, out io.Writer) error {
	nodes, peers, done, err := reachPeers(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	loads, sum := make(map[string]int), 0
	var failed error
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		load, err := peers.Load(asking, nodes[node])
		cancel()
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		loads[node] = load.Sessions
		sum += load.Sessions
	}
	if len(loads) == 0 {
		return cmp.Or(failed, errors.New("no node is there"))
	}
	mean := sum / len(loads)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tADDRESS\tSESSIONS\tSHEDS")
	for _, node := range slices.Sorted(maps.Keys(loads)) {
		surplus := r.surplus(loads[node], mean)
		fmt.Fprintln(table, node+"\t"+nodes[node]+"\t"+strconv.Itoa(loads[node])+"\t"+strconv.Itoa(surplus))
		if surplus == 0 || r.Dry {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		err := peers.Shed(asking, nodes[node], surplus, time.Duration(float64(surplus)/r.Rate*float64(time.Second)))
		cancel()
		failed = errors.Join(failed, err)
	}
	return errors.Join(failed, table.Flush())
}

// surplus is how many sessions a node is to close: what it has above the mean, once that is far too many.
func (r Rebalancing) surplus(sessions, mean int) int {
	if float64(sessions) <= r.Above*float64(mean) {
		return 0
	}
	return sessions - mean
}

// reachPeers finds the nodes of a configuration, by their names, and what it takes to ask them. done lets go of it.
func reachPeers(ctx context.Context, cfg config.Config) (nodes map[string]string, peers relay.Peers, done func(), err error) {
	secret := []byte(cfg.Peer.Secret)
	transport := &http.Transport{}
	peers = relay.Peers{Secret: func() []byte { return secret }, Client: &http.Client{Transport: transport}}
	if len(cfg.Peer.Nodes) > 0 {
		nodes = make(map[string]string)
		for _, node := range cfg.Peer.Nodes {
			nodes[node.String()] = string(node)
		}
		return nodes, peers, transport.CloseIdleConnections, nil
	}
	if !cfg.Redis.Configured() {
		fault := config.Fault{Message: "the configuration names neither a Redis nor peer.nodes: there are no nodes to balance"}
		return nil, peers, nil, &config.Error{Faults: []config.Fault{fault}}
	}
	client, err := RedisClient(cfg.Redis)
	if err != nil {
		return nil, peers, nil, err
	}
	done = func() {
		transport.CloseIdleConnections()
		_ = client.Close() // it was only read from
	}
	if nodes, err = redis.Nodes(ctx, client, cfg.Redis.Prefix); err == nil && len(secret) == 0 {
		secret, err = client.Get(ctx, secretKey(cfg.Redis)).Bytes()
	}
	if err != nil {
		done()
		return nil, peers, nil, err
	}
	return nodes, peers, done, nil
}
