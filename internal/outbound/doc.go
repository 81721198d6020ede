// Package outbound posts to the URLs that a configuration names, of hooks and webhooks: signed, with an end, and not to
// addresses inside.
//
// A hook's URL is written by an operator, but its host name is resolved by a DNS server that may belong to a third party. So the
// address is checked when it is dialled, after the name was resolved and for each attempt: private, loopback and
// link-local addresses, and all others that are not public, need AllowPrivate. Redirects are not followed and no proxy of the
// environment is used, either of which could lead elsewhere.
package outbound
