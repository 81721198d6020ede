package upstream

import (
	"hash/fnv"
	"strconv"
)

// keys names the keys of package upstream. What one script touches has one hash tag, and so one slot of a Redis Cluster.
type keys struct{ prefix string }

// tag is the hash tag of a partition.
func tag(route string, partition int) string {
	return "{" + route + "." + strconv.Itoa(partition) + "}"
}

func (k keys) stream(tag string) string         { return k.prefix + ":up:" + tag }
func (k keys) live(tag string) string           { return k.prefix + ":live:" + tag }
func (k keys) sessions(tag, node string) string { return k.prefix + ":live:" + tag + ":" + node }
func (k keys) inbox(node string) string         { return k.prefix + ":in:{" + node + "}" }
func (k keys) routes() string                   { return k.prefix + ":routes" }
func (k keys) nodes() string                    { return k.prefix + ":{upstream}:nodes" }
func (k keys) lost(node string) string          { return k.prefix + ":{upstream}:lost:" + node }
func (k keys) reaper(node string) string        { return k.prefix + ":{upstream}:reap:" + node }

// partitionOf is the partition of a socket.
func partitionOf(sid string, partitions int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(sid)) // never fails
	return int(h.Sum32() % uint32(partitions))
}
