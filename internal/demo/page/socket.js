// A Socket.IO client of one namespace over WebSocket, as small as the demo allows. For anything else use the official
// client (make client).
//
// Engine.IO v4 puts one packet in each frame: 0 open, 2 ping, 3 pong, 4 message. Inside a message, Socket.IO v5 writes
// <type>[<attachments>-][<ack id>]<JSON>: 0 connect, 1 disconnect, 2 event, 3 ack, 4 connect error, 5 and 6 an event and an
// ack with attachments, which follow as binary frames.

const retryAfter = attempt => Math.min(5000, 250 * 2 ** attempt) * (0.5 + Math.random() / 2);

export class Socket extends EventTarget {
  #auth;
  #websocket;
  #attempt = 0;
  #deadline;        // timer: no ping within interval + timeout means that the server is gone
  #patience;        // ms, from the handshake
  #acks = new Map(); // id → resolve and reject of the emit that waits
  #nextAck = 0;
  #pending;         // packet whose attachments are due

  id = null;        // the socket's id while connected, else null

  // auth returns a promise of what to connect with. Dispatches: connect, disconnect (detail: reason), refused (detail:
  // message and data), event (detail: name and args).
  constructor(auth) {
    super();
    this.#auth = auth;
    this.#open();
  }

  // Resolves with the acknowledgement's arguments; rejects when the connection goes first.
  emit(name, ...args) {
    if (this.id === null) return Promise.reject(new Error("not connected"));
    const id = this.#nextAck++;
    this.#websocket.send(`42${id}${JSON.stringify([name, ...args])}`);
    return new Promise((resolve, reject) => this.#acks.set(id, { resolve, reject }));
  }

  // Connects anew, with what auth returns then.
  reconnect() {
    this.#websocket.close();
  }

  #open() {
    const url = new URL("/socket.io/?EIO=4&transport=websocket", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const websocket = this.#websocket = new WebSocket(url);
    websocket.binaryType = "arraybuffer";
    websocket.onmessage = ({ data }) => typeof data === "string" ? this.#engine(data) : this.#attachment(data);
    websocket.onclose = () => this.#closed();
  }

  #closed() {
    clearTimeout(this.#deadline);
    this.#gone("connection lost");
    setTimeout(() => this.#open(), retryAfter(this.#attempt++));
  }

  #gone(reason) {
    this.#pending = undefined;
    for (const { reject } of this.#acks.values()) reject(new Error(reason));
    this.#acks.clear();
    if (this.id === null) return;
    this.id = null;
    this.#dispatch("disconnect", reason);
  }

  #engine(packet) {
    const data = packet.slice(1);
    switch (packet[0]) {
      case "0": {
        const { pingInterval, pingTimeout } = JSON.parse(data);
        this.#patience = pingInterval + pingTimeout;
        const websocket = this.#websocket;
        this.#auth().then(auth => websocket.send("40" + JSON.stringify(auth)), () => websocket.close());
        break;
      }
      case "2":
        this.#websocket.send("3");
        break;
      case "4":
        this.#packet(data);
        return;
    }
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#websocket.close(), this.#patience);
  }

  #packet(text) {
    const [head, type, count, id] = /^(\d)(?:(\d+)-)?(\d*)/.exec(text);
    const packet = { type, id: Number(id), data: text.length > head.length ? JSON.parse(text.slice(head.length)) : undefined };
    if (Number(count) > 0) {
      this.#pending = { ...packet, count: Number(count), attachments: [] };
      return;
    }
    this.#handle(packet);
  }

  #attachment(data) {
    const packet = this.#pending;
    if (!packet || packet.attachments.push(new Uint8Array(data)) < packet.count) return;
    this.#pending = undefined;
    const fill = value => {
      if (value?._placeholder === true) return packet.attachments[value.num];
      if (Array.isArray(value)) return value.map(fill);
      if (value === null || typeof value !== "object") return value;
      return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, fill(member)]));
    };
    this.#handle({ ...packet, data: fill(packet.data) });
  }

  #handle({ type, id, data }) {
    switch (type) {
      case "0":
        this.#attempt = 0;
        this.id = data.sid;
        this.#dispatch("connect");
        break;
      case "1":
        this.#gone("disconnected by the server");
        this.#websocket.close(); // to come back with what auth returns then: a token may have expired
        break;
      case "2":
      case "5":
        this.#dispatch("event", { name: data[0], args: data.slice(1) });
        break;
      case "3":
      case "6":
        this.#acks.get(id)?.resolve(data);
        this.#acks.delete(id);
        break;
      case "4":
        this.#dispatch("refused", data);
        break;
    }
  }

  #dispatch(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
