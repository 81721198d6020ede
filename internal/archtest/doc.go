// Package archtest holds the rules of the tree as tests: which package of ours may import which, and who may look at
// the process's environment. It has no code of its own.
package archtest
