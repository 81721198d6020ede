// Package policytest runs tables of cases against the rules of a configuration: a client on paper, what it does, and what
// should be decided. It needs neither a server nor Redis.
//
//	file (YAML) ─ Read ─► []Case ─ Run ─► []Result ─ WriteText, WriteJSON, WriteJUnit
package policytest
