// Package certtest makes certificates for tests of TLS: good for 127.0.0.1, and unknown to everything that does not trust
// them explicitly.
package certtest
