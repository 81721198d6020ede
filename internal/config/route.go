package config

import "time"

// Route is a Redis Stream that client events are forwarded to.
type Route struct {
	// Streams the route is divided into, by socket.
	Partitions int `key:"partitions"`
	// Adds an entry when a socket connects and when it disconnects.
	Lifecycle bool `key:"lifecycle"`
	// How long a forward may wait for Redis, and then for the backend's answer.
	Deadline time.Duration `key:"deadline"`
	// Consumer groups whose unread entries are kept even before they exist.
	Groups []string `key:"groups"`
	// How long entries stay that every group has acknowledged.
	Keep time.Duration `key:"keep"`
	// Entries at which further forwards are refused as overloaded.
	MaxEntries int `key:"max_entries"`
	// Replicas that must have an entry before it counts as stored.
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
