// Package native is the codec of clients without a Socket.IO library: packets ⇄ WebSocket messages, and packets → the text of
// an event stream. It is pure.
//
//	Plain    no subprotocol       text, bytes                        ⇄ the event "message" with that one argument
//	                              any other event                    → ["event", …]
//	JSON     carillon.v1.json     {"event": "e", "args": […], "id"?} ⇄ an event
//	                              {"ack": 7, "args": […]}            ⇄ an acknowledgement
//	                              {"hello": {…}}                     ⇄ CONNECT and its answer
//	                              {"error": {"code", "message"}}     ← why the connection closes
//	Events   text/event-stream    event: e, data: […]                → an event
//
// Bytes inside arguments are {"$bytes": "<base64>"}: there are no attachments on these wires.
package native
