// Every official client line before the current one, told apart by how it says the same things.
import { createRequire } from "node:module";
import { io as io4 } from "socket.io-client";
import { transports } from "./lib.mjs";

const require = createRequire(import.meta.url);

export const clients = {
  "2.0": require("socket.io-client-20"),
  "2.3": require("socket.io-client-23"),
  "2.5": require("socket.io-client-25"),
  "3.1": require("socket.io-client-3").io,
  "4.8": io4,
};
export const isOld = version => version.startsWith("2.");

const open = [];

// An unconnected client pinned to one node by the balancer's cookie; 2.x clients keep none of their own.
export function client(version, url, { node = 0, transport = "websocket", ...options } = {}) {
  const headers = { Cookie: `carillon=node${node}` };
  const socket = clients[version](url, { forceNew: true, extraHeaders: headers, ...transports[transport], ...options });
  open.push(socket);
  socket.heard = [];
  socket.on("msg", (...args) => socket.heard.push(args));
  return socket;
}

export const next = (socket, event) => new Promise(resolve => socket.once(event, resolve));

// The engine below a socket, where the upgrade and the transport's name are to be seen.
export const engine = socket => socket.io.engine;

export async function connect(version, url, options = {}) {
  const socket = client(version, url, options);
  const upgraded = options.transport === "upgrade" && new Promise(resolve => {
    socket.io.engine?.once("upgrade", resolve) ?? socket.io.once("open", () => engine(socket).once("upgrade", resolve));
  });
  const failed = isOld(version) ? "error" : "connect_error";
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once(failed, reject);
  });
  await upgraded;
  return socket;
}

export function closeAll() {
  for (const socket of open.splice(0)) {
    socket.disconnect();
    socket.io.close?.(); // a 2.x client with a refused namespace stays otherwise
  }
}

// What the server acknowledged.
export const ask = (socket, ...event) => new Promise((resolve, reject) => {
  const late = setTimeout(() => reject(new Error(`no acknowledgement of ${event[0]}`)), 60_000);
  socket.emit(...event, (...answer) => {
    clearTimeout(late);
    resolve(answer);
  });
});

// Waits until a client has heard the mark, and returns what came with it.
export function hears(socket, mark) {
  const find = () => socket.heard.find(args => args.includes(mark));
  return new Promise(resolve => {
    const check = () => {
      const args = find();
      if (!args) return;
      socket.off("msg", check);
      resolve(args);
    };
    socket.on("msg", check);
    check();
  });
}

// Binary as Buffers, whichever of its forms a client hands out.
export function plain(value) {
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  return value;
}
