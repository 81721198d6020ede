// Package celjson shows the JSON that clients send to CEL expressions. Text is decoded when an expression asks for it,
// what was decoded is kept, and what was only picked leaves as the client's own text.
//
// # Cost
//
// CEL counts one unit for each call, whatever the operands hold: one == on two lists of lists may look at a million values.
// A Budget bounds the work that CEL does not see. It is spent before the work is done, by the values of this package
// (decoding, indexing, searching, comparing) and by the calls that Options puts in the place of CEL's own. When it is used
// up, evaluation ends with an error, as it does when the client has gone.
//
//	Raw ─ Value ─► *List, *Object, string, int, double, bool, null, bytes
//	              Writer, AppendText ◄─ any CEL value
package celjson
