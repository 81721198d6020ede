package backend

import "strconv"

// keys are the names of what gateways and consumers keep in Redis for one route and group. What a script touches at once
// has the tag of a partition or of the route in common, so that it is in one slot of a Redis Cluster.
type keys struct{ prefix, route, group string }

func (k keys) tag(p int) string { return "{" + k.route + "." + strconv.Itoa(p) + "}" }

// Of the gateways.
func (k keys) stream(p int) string { return k.prefix + ":up:" + k.tag(p) }
func (k keys) routes() string      { return k.prefix + ":routes" }

// Of the consumers.
func (k keys) lease(p int) string  { return k.prefix + ":lease:" + k.tag(p) + ":" + k.group }
func (k keys) outbox(p int) string { return k.prefix + ":outbox:" + k.tag(p) + ":" + k.group }
func (k keys) members() string     { return k.prefix + ":members:{" + k.route + "}:" + k.group }
func (k keys) dead() string        { return k.prefix + ":dead:{" + k.route + "}" }
func (k keys) deadLast() string    { return k.dead() + ":last" }

// inbox is where a gateway process reads answers.
func inbox(prefix, node string) string { return prefix + ":in:{" + node + "}" }
