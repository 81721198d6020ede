package config

import "time"

// Route is a Redis Stream that client events are forwarded to.
type Route struct {
	Partitions int `key:"partitions"`
	// Lifecycle adds an entry when a socket connects and when it disconnects.
	Lifecycle bool `key:"lifecycle"`
	// Deadline is how long a forward may wait for Redis and for the backend's answer.
	Deadline time.Duration `key:"deadline"`
	// Groups are consumer groups whose unread entries are kept even before they exist.
	Groups []string `key:"groups"`
	// Keep is how long entries stay that every group has acknowledged.
	Keep time.Duration `key:"keep"`
	// MaxEntries refuses further forwards as overloaded.
	MaxEntries int `key:"max_entries"`
	// Replicas must have an entry before it counts as stored.
	Replicas int `key:"replicas"`
	// Webhook is where the gateways deliver the route's entries; nil means that backends read the stream.
	Webhook *Webhook `key:"webhook,omitempty"`
}

// Webhook is an HTTP endpoint that the entries of a route are posted to.
type Webhook struct {
	URL URL `key:"url"`
	// Secret signs each request.
	Secret Secret `key:"secret"`
	// Timeout of one attempt.
	Timeout time.Duration `key:"timeout"`
	// Retries after the first attempt.
	Retries int `key:"retries"`
	// AllowPrivate permits addresses that are not public.
	AllowPrivate bool `key:"allow_private"`
}
