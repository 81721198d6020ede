package config

import "time"

// Door is an endpoint for clients without a Socket.IO library: plain WebSocket or Server-Sent Events.
type Door struct {
	// Path is where it answers; empty means nowhere.
	Path string `key:"path"`
}

// API is the HTTP API for backends.
type API struct {
	// Address to listen on; empty means that there is no API.
	Address string `key:"address"`
	// Keys are the bearer tokens of backends: the keys themselves, or names of files with one a line.
	Keys []Secret `key:"keys,live"`
}

// History keeps the messages to some rooms.
type History struct {
	Namespace string `key:"namespace"`
	// Rooms are names, or prefixes ending in *.
	Rooms []string `key:"rooms"`
	// Messages and Age bound what is kept of each room.
	Messages int           `key:"messages"`
	Age      time.Duration `key:"age"`
}

// Presence tells the members of some rooms which users are there.
type Presence struct {
	Namespace string `key:"namespace"`
	// Rooms are names, or prefixes ending in *.
	Rooms []string `key:"rooms"`
	// User is one ${…} that names the user, and Info what others learn of it.
	User Value `key:"user"`
	Info Value `key:"info,omitempty"`
	// Grace is how long a user may be gone before that counts.
	Grace time.Duration `key:"grace"`
}
