package config

import "time"

// Route is a Redis Stream that client events are forwarded to.
type Route struct {
	// Streams that the route is divided into, by socket; at most 1024. A socket keeps its stream. Consumers learn of more from
	// the hash `carillon:routes`, which never names fewer than before.
	Partitions int `key:"partitions"`
	// Adds an entry when a socket connects, in any namespace, and when it has disconnected.
	Lifecycle bool `key:"lifecycle"`
	// How long a forwarded event may wait for Redis, and with `ack: backend` for the answer, from its arrival on.
	Deadline time.Duration `key:"deadline"`
	// Consumer groups whose unread entries are kept even before they exist.
	Groups []string `key:"groups"`
	// How long entries stay that every group has acknowledged.
	Keep time.Duration `key:"keep"`
	// Entries at which further events are refused as overloaded, each partition with its share.
	MaxEntries int `key:"max_entries"`
	// Replicas of Redis that must have an entry before it counts as stored.
	Replicas int `key:"replicas"`
	// Where the gateways themselves deliver the entries. Without it backends read the stream.
	Webhook *Webhook `key:"webhook,omitempty"`
}

// Webhook is an HTTP endpoint that the entries of a route are posted to.
type Webhook struct {
	// http:// or https://.
	URL URL `key:"url"`
	// Signs each request.
	Secret Secret `key:"secret"`
	// Of one attempt.
	Timeout time.Duration `key:"timeout"`
	// After the first attempt.
	Retries int `key:"retries"`
	// Permits private, loopback and link-local addresses.
	AllowPrivate bool `key:"allow_private"`
}

// History keeps the messages to some rooms.
type History struct {
	// Namespace of the rooms.
	Namespace string `key:"namespace"`
	// Names of rooms, or prefixes ending in `*`.
	Rooms []string `key:"rooms"`
	// Messages kept of each room.
	Messages int `key:"messages"`
	// How long each is kept.
	Age time.Duration `key:"age"`
}

// Presence tells the members of some rooms which users are there.
type Presence struct {
	// Namespace of the rooms.
	Namespace string `key:"namespace"`
	// Names of rooms, or prefixes ending in `*`.
	Rooms []string `key:"rooms"`
	// Names the user of a socket, such as `${claims.sub}`.
	User Value `key:"user"`
	// What others learn of the user.
	Info Value `key:"info,omitempty"`
	// How long the last socket of a user may be gone before the user is.
	Grace time.Duration `key:"grace"`
}
