// Chat is a Socket.IO server of its own, without the gateway: rooms, private messages to a user on every device,
// notifications from a backend, and a live count.
//
//	go run ./examples/chat
//	open http://localhost:8000/
//
// The page uses the official JavaScript client, which "make client" fetches. A backend notifies one user, or everybody
// when it names none:
//
//	curl -H 'Content-Type: application/json' -d '{"user":"ada","text":"Your order has shipped"}' localhost:8000/notify
//
// # What clients send
//
//	connect   auth {name}          refused without a good name
//	enter     room                 the others hear entered(room, name)
//	leave     room                 the others hear left(room, name)
//	message   room, text           the others hear message(room, name, text)
//	private   name, text           that user hears private(from, to, text), and so do the sender's other devices
//
// Each is acknowledged with {"ok":true} or {"error":"…"}. All clients hear online(count) when it changes, and
// notification(text).
//
// # What it leaves out
//
// Names are taken on trust: in earnest, admit verifies a token, and /notify is not open to everybody. Nothing is stored:
// who is away misses it.
package main
