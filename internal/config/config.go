package config

// Config is everything a gateway can be told, in the order it is documented and printed.
//
// The key tag of each field is its name in the file. Its options: "live" marks what a reload changes without a restart,
// "omitempty" what Print leaves out when it was not given.
type Config struct {
	Server     Server               `key:"server"`
	Ops        Ops                  `key:"ops"`
	Peer       Peer                 `key:"peer"`
	Engine     Engine               `key:"engine"`
	SocketIO   SocketIO             `key:"socketio"`
	Redis      Redis                `key:"redis"`
	Adapter    Adapter              `key:"adapter"`
	Drain      Drain                `key:"drain"`
	Limits     Limits               `key:"limits,live"`
	Auth       Auth                 `key:"auth"`
	Routes     map[string]Route     `key:"routes,live"`
	Namespaces map[string]Namespace `key:"namespaces,live"`
	Native     Door                 `key:"native"`
	SSE        Door                 `key:"sse"`
	API        API                  `key:"api"`
	History    []History            `key:"history"`
	Presence   []Presence           `key:"presence"`
	Log        Log                  `key:"log"`
}
