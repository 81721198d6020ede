// Package ask puts to a backend whether a client may join a namespace: connect.ask of the configuration.
//
// The question is one signed POST, and its answer one of three: 200 lets the client in, with rooms and claims; 403 with a
// message refuses it, which clients take as final; whatever else happens, an answer that cannot be read among it, is an
// outage: it says nothing about the client, which is sent away so that it comes back.
//
// Questions are bounded in number and time, answers in size. An answer holds for the same question, byte for byte, as long as
// the configuration says.
package ask
