// What the scenarios share: clients that keep what they hear, and fences instead of waiting times.
import assert from "node:assert/strict";
import { io } from "socket.io-client";

export const nodes = (process.env.NODES ?? "").split(",").filter(Boolean);

export const transports = {
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
  upgrade: { transports: ["polling", "websocket"] },
};

const open = [];

// A connected client that collects every event in `heard`, as [name, ...arguments].
export async function connect(url, transport = "websocket", options = {}) {
  const socket = io(url, { forceNew: true, withCredentials: true, reconnectionDelay: 100, ...transports[transport], ...options });
  open.push(socket);
  socket.heard = [];
  socket.waiters = new Set();
  socket.onAny((...event) => {
    socket.heard.push(event);
    for (const check of socket.waiters) check();
  });
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  if (transport === "upgrade" && socket.io.engine.transport.name !== "websocket") {
    await new Promise(resolve => socket.io.engine.once("upgrade", resolve));
  }
  return socket;
}

export function closeAll() {
  for (const socket of open.splice(0)) socket.disconnect();
}

// Resolves when the client has heard an event for which match is true.
export function hears(socket, match) {
  return new Promise(resolve => {
    const check = () => {
      const event = socket.heard.find(match);
      if (!event) return;
      socket.waiters.delete(check);
      resolve(event);
    };
    socket.waiters.add(check);
    check();
  });
}

export async function request(socket, ...event) {
  const answer = await socket.timeout(60_000).emitWithAck(...event);
  assert.notEqual(answer?.ok, false, `${event[0]}: ${JSON.stringify(answer)}`);
  return answer;
}

let fences = 0;

// What one publisher publishes reaches each client in order: when a client hears the publisher's fence, it has heard all
// that the publisher sent before, or never will.
export async function fence(publish, sockets) {
  const name = `fence-${fences++}`;
  await publish(name);
  await Promise.all(sockets.map(socket => hears(socket, event => event.includes(name))));
}

// How often each client heard an event with this mark among its arguments.
export const counts = (sockets, mark) =>
  Object.fromEntries(Object.entries(sockets).map(([name, socket]) => [name, socket.heard.filter(event => event.includes(mark)).length]));

// What makes the sockets of a room join and leave others, or go, through Node's API: a server's or an emitter's.
export const commandsOf = api => ({
  join: (to, rooms) => api.in(to).socketsJoin(rooms),
  leave: (to, rooms) => api.in(to).socketsLeave(rooms),
  disconnect: to => api.in(to).disconnectSockets(),
});

// The same through the API of pkg/socketio, which call has a server call.
export const commandsOfGo = call => ({
  join: (to, rooms) => call("socketsJoin", { to: [to], rooms }),
  leave: (to, rooms) => call("socketsLeave", { to: [to], rooms }),
  disconnect: to => call("disconnectSockets", { to: [to] }),
});
