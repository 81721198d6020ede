import { Socket } from "./socket.js";

const $ = id => document.getElementById(id);
const lobby = "chat:lobby";

// Conversations by key: "chat:<room>" or "@<name>".
const conversations = new Map();
const people = new Map(); // id → name
let current = lobby;
let name = sessionStorage.getItem("name") ?? `guest-${Math.random().toString(36).slice(2, 6)}`;

// What the page connects with. The id is new for each connection: the end of the one before may be noticed later. The
// token, where the server wants one, proves the name.
const token = async () => (await fetch(`token?name=${encodeURIComponent(name)}`)).text();
const tokens = "token" in document.body.dataset;
const credentials = async () => ({ name, id: Math.random().toString(36).slice(2), ...tokens && { token: await token() } });

const socket = new Socket(credentials);
if (tokens) setInterval(async () => socket.id !== null && request("auth:refresh", await token()), 120_000);

const conversation = key => {
  if (!conversations.has(key)) conversations.set(key, { lines: [], unread: false });
  return conversations.get(key);
};
const label = key => key.startsWith("chat:") ? `# ${key.slice(5)}` : key;

// Lines -------------------------------------------------------------------------------------------------------------

function add(key, line) {
  const { lines } = conversation(key);
  lines.push({ at: Date.now(), ...line });
  lines.splice(0, lines.length - 500);
  if (key === current) {
    $("log").append(render(lines.at(-1)));
    $("log").lastElementChild.scrollIntoView();
  } else {
    conversation(key).unread = true;
    showConversations();
  }
}

function render({ at, from, text, kind }) {
  const item = document.createElement("li");
  item.className = kind ?? "";
  if (from) {
    const who = document.createElement("b");
    who.textContent = `${from} `;
    item.append(who);
  }
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = new Date(at).toLocaleTimeString([], { timeStyle: "short" });
  item.append(text, time);
  return item;
}

// Shown state -------------------------------------------------------------------------------------------------------

function button(text, attributes, onclick) {
  const item = document.createElement("li");
  const element = Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick });
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  item.append(element);
  return item;
}

function showConversations() {
  const entry = key => button(label(key), { "aria-current": key === current, class: conversation(key).unread ? "unread" : "" }, () => open(key));
  $("rooms").replaceChildren(...[...conversations.keys()].filter(key => key.startsWith("chat:")).map(entry));
  const names = new Set([...people.values(), ...[...conversations.keys()].filter(key => key.startsWith("@")).map(key => key.slice(1))]);
  names.delete(name);
  $("count").textContent = socket.id === null ? "" : `· ${people.size + 1} here`;
  $("people").replaceChildren(...[...names].sort().map(who => conversations.has(`@${who}`) ? entry(`@${who}`) : button(`@${who}`, {}, () => open(`@${who}`))));
}

function open(key) {
  current = key;
  conversation(key).unread = false;
  $("title").textContent = label(key);
  $("leave").hidden = key === lobby || key.startsWith("@");
  $("log").replaceChildren(...conversation(key).lines.map(render));
  $("log").lastElementChild?.scrollIntoView();
  $("typing").textContent = "";
  showConversations();
  $("text").focus();
}

function showStatus(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

// From the server ---------------------------------------------------------------------------------------------------

const events = {
  joined({ id, name }) {
    people.set(id, name);
    add(lobby, { kind: "notice", text: `${name} joined` });
    request("here", id);
    showConversations();
  },
  here({ id, name }) {
    people.set(id, name);
    showConversations();
  },
  left({ id, name }) {
    people.delete(id);
    add(lobby, { kind: "notice", text: `${name} left` });
    showConversations();
  },
  entered: (room, who) => add(room, { kind: "notice", text: `${who} entered` }),
  exited: (room, who) => add(room, { kind: "notice", text: `${who} went out` }),
  message: ({ room = lobby, from, text, at = Date.now() }) => add(room, { from, text, at }),
  private: ({ from, text, at = Date.now() }) => add(`@${from}`, { from, text, at }),
  typing(room, who) {
    if (room !== current) return;
    $("typing").textContent = `${who} is typing…`;
    clearTimeout(events.typing.timer);
    events.typing.timer = setTimeout(() => $("typing").textContent = "", 2000);
  },
};

socket.addEventListener("event", ({ detail: { name, args } }) => {
  const shape = value => value !== null && typeof value === "object";
  const known = Object.hasOwn(events, name) && (shape(args[0]) || args.length === 2);
  if (known) events[name](...args);
  else add(current, { kind: "published", from: name, text: args.map(value => typeof value === "string" ? value : JSON.stringify(value)).join(" ") });
});

socket.addEventListener("connect", () => {
  showStatus("connected", `connected as ${socket.id}`);
  for (const key of conversations.keys()) {
    if (key.startsWith("chat:") && key !== lobby) request("join", key);
  }
  showConversations();
});

socket.addEventListener("disconnect", ({ detail }) => {
  showStatus("connecting", `${detail}, trying again`);
  people.clear();
  showConversations();
});

socket.addEventListener("refused", ({ detail }) => showStatus("refused", `refused: ${detail.message}`));

// To the server -----------------------------------------------------------------------------------------------------

// Resolves to whether the server said yes; why not is shown.
async function request(event, ...args) {
  try {
    const [answer] = await socket.emit(event, ...args);
    if (answer?.ok !== false) return true;
    add(current, { kind: "notice", text: `${event}: ${answer.error.message}` });
  } catch (error) {
    add(current, { kind: "notice", text: `${event}: ${error.message}` });
  }
  return false;
}

$("compose").addEventListener("submit", async event => {
  event.preventDefault();
  const text = $("text").value;
  const key = current;
  $("text").value = "";
  if (key.startsWith("chat:")) await request("message", key, text);
  else if (await request("private", key.slice(1), text)) add(key, { from: name, text });
});

$("text").addEventListener("input", () => {
  const now = Date.now();
  if (!current.startsWith("chat:") || now - (events.typing.told ?? 0) < 1000) return;
  events.typing.told = now;
  socket.emit("typing", current).catch(() => {}); // a hint: nobody misses it
});

$("join").addEventListener("submit", async event => {
  event.preventDefault();
  const key = `chat:${$("room").value.trim()}`;
  $("room").value = "";
  if (await request("join", key)) open(key);
});

$("leave").addEventListener("click", async () => {
  const key = current;
  if (!await request("leave", key)) return;
  conversations.delete(key);
  open(lobby);
});

$("rename").addEventListener("submit", event => event.preventDefault());
$("name").addEventListener("change", () => {
  name = $("name").value.trim() || name;
  sessionStorage.setItem("name", name);
  socket.reconnect();
});

$("copy").addEventListener("click", async () => {
  getSelection().selectAllChildren($("publish"));
  if (!navigator.clipboard) return; // a page that came neither encrypted nor from this machine: selected is all it can be
  await navigator.clipboard.writeText($("publish").textContent);
  $("copy").textContent = "Copied";
});

$("name").value = name;
open(lobby);
