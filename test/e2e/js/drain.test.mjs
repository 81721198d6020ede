// One of two nodes leaves while 60 clients are connected: who was on it moves to the other one, a few at a time, and nobody
// is told that the server has disconnected it, which clients take as final.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeAll, connect, fence, request } from "./lib.mjs";

const { PROXY: proxy } = process.env;
const [pid, delay, window, limit] = ["PID", "DELAY", "WINDOW", "LIMIT"].map(name => Number(process.env[name]));
const clients = 60;
after(closeAll);

const alive = () => {
  try { return process.kill(pid, 0); } catch { return false; }
};
const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const node = socket => socket.id.slice(0, 4); // a socket's id begins with what names its process

test("a node that drains sends its clients to the other one, evenly", async t => {
  const sockets = [], closes = [], refusals = [];
  for (let i = 0; i < clients; i++) sockets.push(await connect(proxy, ["polling", "websocket", "upgrade"][i % 3]));
  for (const socket of sockets) {
    await request(socket, "join", "room:drain");
    socket.first = node(socket);
    socket.on("disconnect", reason => closes.push({ socket, reason, at: performance.now() }));
    socket.io.on("reconnect_error", error => refusals.push(error));
  }

  const signalled = performance.now();
  process.kill(pid, "SIGTERM");
  let newcomers = 0;
  while (alive()) { // whoever comes meanwhile is let in at the first attempt
    const socket = await connect(proxy, ["polling", "websocket"][newcomers++ % 2], { reconnection: false });
    socket.disconnect();
    await pause(50);
  }
  const left = performance.now() - signalled;
  const first = closes[0]?.socket.first;
  while (sockets.some(socket => !socket.connected || node(socket) === first)) await pause(50); // until all have noticed, and are back

  const moved = new Set(closes.map(({ socket }) => socket));
  t.diagnostic(`${moved.size} of ${clients} clients moved, ${newcomers} came, the node left after ${Math.round(left)} ms`);
  assert.ok(left < limit, `left after ${left} ms, limit ${limit} ms`);
  assert.ok(moved.size >= clients / 4 && moved.size <= clients * 3 / 4, `${moved.size} of ${clients} were on the node`);
  assert.equal(closes.length, moved.size, "nobody moves twice");
  // A polling client learns it from the answer to its next request.
  for (const { reason } of closes) assert.match(reason, /^transport (close|error)$/);
  assert.deepEqual(refusals, []);
  for (const socket of sockets) {
    assert.equal(moved.has(socket), socket.first === first, `only the clients of ${first} move`);
    assert.notEqual(node(socket), first);
  }

  const at = closes.map(close => close.at - signalled);
  t.diagnostic(`closes after ${at.map(Math.round).join(" ")} ms`);
  assert.ok(at[0] > delay * 0.9, "nobody is closed before the delay is over");
  assert.ok(at.at(-1) - at[0] > window / 2, "the closes fill the window");
  for (const start of at) {
    const burst = at.filter(x => x >= start && x < start + 300).length;
    assert.ok(burst < at.length / 2, `${burst} of ${at.length} closes within 300 ms`);
  }
  for (const name of ["polling", "websocket"]) { // of random order: no transport waits for another to be done
    const half = closes.slice(0, closes.length / 2).filter(({ socket }) => socket.io.opts.transports[0] === name);
    assert.ok(half.length > 0, `no ${name} client among the first half`);
  }

  for (const socket of moved) await request(socket, "join", "room:drain");
  const [publisher] = moved;
  await request(publisher, "publish", "room:drain", "after the drain");
  await fence(id => request(publisher, "publish_all", id), sockets);
  for (const socket of sockets) assert.equal(socket.heard.filter(event => event.includes("after the drain")).length, 1);
});
