package config

// Limits protect a node.
type Limits struct {
	// Connections of this node. 0: what the file-descriptor limit allows. Above it clients get 503 with Retry-After.
	Connections int `key:"connections"`
	// Connections from one address.
	ConnectionsPerIP int `key:"connections_per_ip"`
	// New connections per second, this node.
	Handshakes int `key:"handshakes"`
	// Requests for unknown sessions per second and address.
	UnknownSIDs int `key:"unknown_sids"`
	// Memory that may wait for all clients together: a size, or a percentage of GOMEMLIMIT or the container's memory. Above it the
	// fullest outboxes go first.
	OutboxTotal Share `key:"outbox_total"`
	// Rooms of one socket.
	Rooms int `key:"rooms"`
	// Namespaces that exist on this node because a prefix allowed them.
	Namespaces int `key:"namespaces"`
	// Events of one connection, in all its namespaces.
	Events Bucket `key:"events"`
	// Joins of a namespace (CONNECT packets) by one connection, in all namespaces.
	Connects Bucket `key:"connects"`
}

// Bucket is a token bucket.
type Bucket struct {
	// Per second. 0: no limit.
	Rate int `key:"rate"`
	// How many at once.
	Burst int `key:"burst"`
}
