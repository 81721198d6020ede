package redis

import (
	"encoding/json"
	"time"
)

const (
	// heartbeatInterval is how often a node says that it is there, and looks who else is.
	heartbeatInterval = 2 * time.Second
	// heartbeatExpiry is how long after its last heartbeat a node still counts.
	heartbeatExpiry = 10 * time.Second
	// listExpiry is how long the list of nodes outlives the last of them.
	listExpiry = 24 * time.Hour
	// maxMembers bounds what a node reads of a list that anybody may have written.
	maxMembers = 10_000
	// maxProbes bounds what it remembers of each: a probe for every master of the largest cluster.
	maxProbes = 1000
)

// member is what a node says of itself with each heartbeat. Other versions may say more.
type member struct {
	ID      string `json:"id"`
	Tag     string `json:"tag,omitempty"`
	Version string `json:"version,omitempty"`
	// Probes are the channels of its own that a node is subscribed to for as long as it hears, one at each server that it
	// hears messages from. One that has not heard any yet tells of none.
	Probes []string `json:"probes,omitempty"`
	Left   bool     `json:"left,omitempty"` // this was the last heartbeat
}

func (m member) encode() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // nothing but text
	}
	return string(text)
}

// decodeMember reads a heartbeat of the node that id names.
func decodeMember(id, text string) (member, bool) {
	var m member
	err := json.Unmarshal([]byte(text), &m)
	return m, err == nil && m.ID == id && len(m.Probes) <= maxProbes
}

// memberKeys are the names of what the nodes keep in Redis. The braces put all of it into one slot of a Redis Cluster,
// where one command can read it.
type memberKeys struct{ prefix string }

func (k memberKeys) list() string          { return k.prefix + ":{nodes}" }
func (k memberKeys) node(id string) string { return k.prefix + ":{nodes}:id:" + id }
func (k memberKeys) tag(tag string) string { return k.prefix + ":{nodes}:tag:" + tag }
