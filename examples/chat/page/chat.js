// The page of examples/chat. doc.go beside it lists what is sent and heard.

const $ = id => document.getElementById(id);
let socket;
let room; // the one that text goes to

function show(kind, text) {
  const line = document.createElement("li");
  line.className = kind;
  line.textContent = text;
  $("log").append(line);
  line.scrollIntoView();
}

// Asks the server; shows why when it says no or nothing.
async function ask(event, ...args) {
  try {
    const answer = await socket.timeout(5000).emitWithAck(event, ...args);
    if (answer.error) show("notice", answer.error);
    return !answer.error;
  } catch {
    show("notice", "no answer");
    return false;
  }
}

async function connect(name) {
  socket?.disconnect();
  const login = await fetch("login", { method: "POST", body: JSON.stringify({ name }) });
  if (!login.ok) return $("status").textContent = await login.text();
  socket = io(); // the cookie says who it is
  socket.on("connect", () => {
    $("status").textContent = `connected as ${name}`;
    if (room) ask("enter", room); // the server has forgotten it with the old connection
  });
  socket.on("connect_error", error => $("status").textContent = error.message);
  socket.on("disconnect", reason => $("status").textContent = `not connected: ${reason}`);
  socket.on("online", count => $("online").textContent = count);
  socket.on("entered", (room, who) => show("notice", `${who} entered ${room}`));
  socket.on("left", (room, who) => show("notice", `${who} left ${room}`));
  socket.on("message", (room, from, text) => show("message", `[${room}] ${from}: ${text}`));
  socket.on("private", (from, to, text, received) => {
    show("private", `${from} to ${to}: ${text}`);
    received?.();
  });
  socket.on("typing", (room, who) => $("status").textContent = `${who} is typing in ${room}`);
  socket.on("notification", text => show("notification", text));
}

function onSubmit(form, then) {
  $(form).addEventListener("submit", event => {
    event.preventDefault();
    if (form !== "login" && !socket) return show("notice", "connect first");
    then();
  });
}

onSubmit("login", () => connect($("name").value));

onSubmit("enter", async () => {
  const next = $("room").value;
  if (!await ask("enter", next)) return;
  room = next;
  show("notice", `you are in ${room}`);
});

onSubmit("say", async () => {
  const line = $("text").value;
  const [, to, text] = line.match(/^@(\S+)\s+(.+)$/) ?? [];
  const sent = to ? await ask("private", to, text) : await ask("message", room ?? "", line);
  if (!sent) return;
  show(to ? "private" : "message", to ? `you to ${to}: ${text}` : `[${room}] you: ${line}`);
  $("text").value = "";
});

if (typeof io === "undefined") {
  $("status").textContent = "the official client is missing: run make client, then start the server again";
}
