// Chat is a Socket.IO server of its own, without the gateway: rooms, private messages to a user on every device with a
// receipt, notifications from a backend, a live count, and login through middleware of net/http.
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
//	connect   auth {token}, or the cookie of POST /login; refused without either
//	enter     room                 the others hear entered(room, name)
//	leave     room                 the others hear left(room, name)
//	message   room, text           the others hear message(room, name, text)
//	typing    room                 the others hear typing(room, name); no acknowledgement
//	private   name, text           that user hears private(from, to, text) and acknowledges it; so do the sender's other devices
//
// Each is acknowledged with {"ok":true} or {"error":"…"}. All clients hear online(count) when it changes, notification(text),
// and clock(seconds) once a minute.
//
// # What it leaves out
//
// /login asks for no password, and /notify is open to everybody. Nothing is stored: users who are away miss it.
package main
