// Package gateway assembles one node from a configuration and runs its life: listeners, cluster, reload, drain. It is the
// only package that knows all the others, and it holds no protocol of its own.
//
// A Gateway owns two listeners. Clients come in on one; probes, metrics and the profiler are served on the other, which
// opens first and closes last, so that a node can be watched while it starts and leaves. Run starts every goroutine
// of the node and returns when all of them have ended; several gateways can run in one process.
//
// While it runs, a node with a Source reads its files every half second and reloads when one of them has changed: rules,
// limits, certificates and the log level follow, connections stay, and a configuration with a fault changes nothing.
package gateway
