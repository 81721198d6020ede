// Package policy does what a configuration says about clients' events: which sockets may connect to a namespace, what
// each of their events does and how it is answered, and what happens when they leave. What no rule decides is denied.
//
// New compiles the rules of all namespaces at once: expressions in CEL, templates, schemas. Whatever can be told to
// be wrong then is an error that names every fault with its key. Install makes a server follow them, Replace puts
// others in their place while sockets stay. The package stands on the public API of package socketio alone; it knows
// neither transports nor Redis, reads no files, and does not check the form of a configuration, which package config
// has done.
//
// # How an event is decided
//
//	event ─ first rule whose event matches and whose if is true ─ none: denied
//	        rate ─ schema ─ every expression of actions and ack ─ operations in order ─ ack
//
//	namespace   what one key of the configuration says: rules, and hooks for connect and disconnect
//	action      what a rule does; an operation is one with every expression evaluated
//	logic       decides for one socket; a connection is what all sockets of a client share
//	Backends    where rules forward events to; the gateway puts package upstream there
//	tally       counts what one rule decided; a Decision is the record of a single one, for dev and debug logs
//
// Nothing has been done when an expression fails, so a refused event has no half effects but those of an action that
// the cluster or a limit refused. An expression that fails refuses the event; it never counts as false.
//
// A socket's token is judged before its if (package auth; token.go): the rules see its payload as claims. When it expires
// the socket leaves, unless it has renewed it by auth:refresh, the one event that no rule decides.
//
// # Values
//
// A client's arguments stay the JSON text they came in. Expressions see them through lists and maps that decode an element
// when it is used (package celjson); a template that merely picks a value, such as ${args[1].text}, is not evaluated but
// copied, attachments included. Only a computed value is written anew.
//
// # Goroutines and waiting
//
// The package starts no goroutine. Events of one connection are decided one at a time, on the goroutine the server
// calls its handlers on. Where an acknowledgement must follow the cluster's confirmation, or a backend's, the last
// confirmation sends it. An event for a backend waits only while its client has too much waiting already, which holds
// that client back. Only a connect waits, for the key of its token and for its joins, and no longer than its context. A Policy is safe for
// concurrent use; all rules hang on one atomic pointer, which each event reads once.
//
// # Bounds
//
// What an event may cost is bounded by one budget for all of its expressions (celjson.BudgetUnits): TestCost and FuzzCost
// try to break it. Over it the event is invalid; when the client goes, evaluation ends. A
// connection keeps at most one token bucket for each rule that has a rate. Above level debug log lines hold nothing that a
// client sent; metrics' labels come from the configuration.
package policy
