// Package redisquestions keeps the open queries of a node: which nodes owe an answer to each, and how much of their answers
// is still to come.
//
// A question is published to all nodes at once, and it is not known beforehand which of them answer: internal/redispeers
// expects answers of some nodes by name, and of others, such as Node's classic servers, only by number. A tally compares
// that with what has come, whatever the order. It is complete when no node is waited for; what is missing then is named.
package redisquestions
