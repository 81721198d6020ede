package redispeers

import (
	"encoding/json"
	"slices"
	"time"
)

const (
	// heartbeatInterval is how often a node writes its record and reads what has changed about the others.
	heartbeatInterval = 2 * time.Second
	// heartbeatExpiry is for how long a node counts as alive after it wrote its record.
	heartbeatExpiry = 10 * time.Second
	// listExpiry is for how long the list of nodes outlives the last of them.
	listExpiry = 24 * time.Hour
	// maxNodes bounds what a node reads of a list that anything with access to Redis may have written.
	maxNodes = 10_000
	// maxRecord bounds a record, and maxProbes what is remembered of one: a probe for every master of the largest cluster.
	maxRecord = 64 << 10
	maxProbes = 1000
)

// Record is what a node writes about itself. Other versions may write more.
type Record struct {
	ID string `json:"id"`
	// Tags are what the ids of its sockets begin with. Ids are made with the first one; others are those that the node gave
	// up because another node has them, and may have sockets with still.
	Tags    []string `json:"tags,omitempty"`
	Address string   `json:"address,omitempty"` // where other nodes hand over requests for its sessions
	Version string   `json:"version,omitempty"`
	// Probes are the channels of its own that the node is subscribed to for as long as it receives, one at each server that
	// it receives from. A node that has not received any probe yet names none.
	Probes []string `json:"probes,omitempty"`
	// Streams names the streams that its commands go through; empty: they go through none.
	Streams string `json:"streams,omitempty"`
	Deaf    bool   `json:"deaf,omitempty"` // it has received none of its probes for a while
	Left    bool   `json:"left,omitempty"` // it has left: this is its last record
}

func (r Record) encode() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // nothing but text
	}
	return string(text)
}

// decodeRecord reads the record of the node that id names.
func decodeRecord(id, text string) (Record, bool) {
	if len(text) > maxRecord {
		return Record{}, false
	}
	var r Record
	err := json.Unmarshal([]byte(text), &r)
	return r, err == nil && r.ID == id && len(r.Tags) <= MaxTags && len(r.Probes) <= maxProbes && !slices.Contains(r.Tags, "")
}

// nodeKeys are the names of what the nodes keep in Redis. The braces put all of it into one slot of a Redis Cluster, where
// one script can read and write it.
type nodeKeys struct{ prefix string }

func (k nodeKeys) list() string          { return k.prefix + ":{nodes}" }
func (k nodeKeys) changes() string       { return k.prefix + ":{nodes}:changes" }
func (k nodeKeys) grace() string         { return k.prefix + ":{nodes}:grace" }
func (k nodeKeys) node(id string) string { return k.prefix + ":{nodes}:id:" + id }
func (k nodeKeys) tag(tag string) string { return k.prefix + ":{nodes}:tag:" + tag }
