// Package expression compiles what a configuration may write in the place of a value: CEL expressions, templates with
// ${…} in them, lists of arguments, names of rooms and JSON Schemas, and evaluates them for one event of one client.
//
//	Arguments, Rooms ─► Template ─► Expression ─► CEL program ─► Activation ─► Subject, the client's JSON (celjson)
//	                                    └ path: picks a client's value without evaluating
//
// An Activation holds the variables of one event, and the budget that all its expressions share; beyond it every
// evaluation is an error.
package expression

// Invalid is an error whose text may be shown to the client that caused it: it holds nothing but constants.
type Invalid string

// Error is the text.
func (e Invalid) Error() string { return string(e) }
