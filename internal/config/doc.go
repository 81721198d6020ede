// Package config turns a file and an environment into one checked Config.
//
// It knows the name, the type, the default and the permitted values of every setting of the gateway, and prints the
// result back as a file with its secrets masked. Load applies defaults, then the file, then the environment, checks the
// whole and returns all faults at once. Every name a user can write comes from the key tags of one struct tree: the
// file's keys, the CARILLON_ variables, the printed form and the keys that need a restart are all read from there.
//
// It is not the place that acts on a setting. It never reads the process environment, opens no file but those a Source
// names, resolves no host, and compiles no expression: a namespace's rules are checked for form and kept as written,
// with their lines, for package policy.
//
// The package starts no goroutine and keeps no state. A Config is plain data: the caller of Load owns it, and goroutines may
// share it as long as none writes to it. Input cannot cause a panic.
package config
