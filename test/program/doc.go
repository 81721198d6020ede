// Package program runs the programs that tests are about: the gateway, and servers beside it. Each listens on a loopback
// address of its own and is stopped by its process when the test ends.
package program
