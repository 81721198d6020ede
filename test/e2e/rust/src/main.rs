//! rust_socketio over every transport, for the table of endings: see js/endings.mjs. It has a connection for each namespace.

use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn main() {
    let url = std::env::args().nth(1).expect("usage: endings URL");
    for (transport, kind) in [
        ("polling", TransportType::Polling),
        ("websocket", TransportType::Websocket),
        ("upgrade", TransportType::WebsocketUpgrade),
    ] {
        let name = format!("rust/{transport}");
        let (times, connected) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
        let (up, down) = ((name.clone(), connected.clone()), (name, connected));
        let client = ClientBuilder::new(url.clone())
            .namespace("/extra")
            .transport_type(kind)
            .reconnect_on_disconnect(true)
            .reconnect_delay(100, 500)
            .on(Event::Connect, move |_, socket| {
                let (n, name, connected) = (times.fetch_add(1, SeqCst) + 1, up.0.clone(), up.1.clone());
                let answered = move |answer: Payload, _| {
                    if let Payload::Text(values) = answer {
                        connected.store(true, SeqCst);
                        println!("{name} up {}", values[0][0]);
                    }
                };
                let _ = socket.emit_with_ack("echo", json!(n), Duration::from_secs(60), answered);
            })
            .on(Event::Close, move |_, _| {
                if down.1.swap(false, SeqCst) {
                    println!("{} down closed", down.0);
                }
            })
            .connect()
            .expect("connect");
        std::mem::forget(client);
    }
    loop {
        thread::park();
    }
}
