// The four ways into the lobby of /chat. Each returns what sends a text; the stream of events has none.

const $ = id => document.getElementById(id);

function show(text) {
  const line = document.createElement("li");
  line.textContent = text;
  $("log").append(line);
  line.scrollIntoView();
}

const status = text => $("status").textContent = text;
const address = path => Object.assign(new URL(path, location), { protocol: location.protocol.replace("http", "ws"), search: "" });

const doors = {
  socketio() {
    const socket = io("/chat");
    socket.on("connect", () => status("connected"));
    socket.on("disconnect", () => status("not connected"));
    socket.on("message", show);
    return text => socket.emit("message", text, answer => status(answer));
  },

  websocket() {
    const ws = new WebSocket(address("/ws/chat"));
    ws.onopen = () => status("connected");
    ws.onclose = ({ code }) => status(`closed ${code}`);
    ws.onmessage = ({ data }) => show(data);
    return text => ws.send(text);
  },

  object() {
    const ws = new WebSocket(address("/ws/chat"), "carillon.v1.json");
    ws.onclose = ({ code }) => status(`closed ${code}`);
    ws.onmessage = ({ data }) => {
      const m = JSON.parse(data);
      if (m.hello) status("connected");
      if (m.event === "message") show(...m.args);
      if (m.ack) status(m.args[0]);
    };
    let id = 0;
    return text => ws.send(JSON.stringify({ event: "message", args: [text], id: ++id }));
  },

  events() {
    const stream = new EventSource("/sse/chat");
    stream.onopen = () => status("connected");
    stream.onerror = () => status(stream.readyState === EventSource.CLOSED ? "closed" : "not connected");
    stream.addEventListener("message", ({ data }) => show(...JSON.parse(data)));
    $("say").hidden = true;
  },
};

const send = doors[new URLSearchParams(location.search).get("door") ?? "socketio"]();
$("say").addEventListener("submit", event => {
  event.preventDefault();
  send($("text").value);
  $("text").value = "";
});
