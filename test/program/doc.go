// Package program runs the programs that tests are about: the gateway, and servers beside it. Each listens on a loopback
// address that is reserved for it, is stopped by its process when the test ends, and does not outlive the tests' process.
package program
