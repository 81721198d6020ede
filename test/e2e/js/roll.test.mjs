// Three nodes behind a balancer that is not sticky are replaced one after the other, while a backend publishes: every client
// comes back by itself, the closes are spread, and no client misses or repeats a message while it is connected.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { closeAll, connect, fence, request } from "./lib.mjs";
import { endReplacements, pids, replace } from "./rolling.mjs";

const proxy = process.env.PROXY;
const clients = 45;
const redis = new Redis(process.env.REDIS);
const emitter = new Emitter(redis);

after(async () => {
  closeAll();
  redis.disconnect();
  endReplacements();
});

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

test("three nodes are rolled and nobody is lost", async t => {
  const sockets = [], closes = [];
  let published = 0;
  for (let i = 0; i < clients; i++) sockets.push(await connect(proxy, ["polling", "websocket", "upgrade"][i % 3]));
  for (const socket of sockets) {
    await request(socket, "join", "room:roll");
    socket.stays = [[]]; // numbers heard, by stay
    socket.on("roll", n => socket.stays.at(-1).push(n));
    socket.on("disconnect", reason => {
      closes.push({ reason, at: performance.now(), behind: published - 1 - (socket.stays.at(-1).at(-1) ?? published - 1) });
    });
    socket.on("connect", () => {
      socket.stays.push([]);
      socket.emit("join", "room:roll", () => {});
    });
  }

  const publishing = setInterval(() => emitter.to("room:roll").emit("roll", published++), 20);
  const rolled = [];
  for (const i of pids.keys()) {
    const before = closes.length;
    await replace(i);
    while (!sockets.every(socket => socket.connected)) await pause(50);
    rolled.push(closes.slice(before).map(({ at }) => at));
  }
  clearInterval(publishing);
  for (const socket of sockets) await request(socket, "join", "room:roll");
  await fence(name => emitter.emit(name), sockets);

  const behind = Math.max(...closes.map(close => close.behind));
  t.diagnostic(`${closes.length} closes of ${clients} clients, ${published} messages; at its close a client had not yet heard the last ${behind} at most`);
  for (const { reason } of closes) assert.match(reason, /^transport (close|error)$/);
  for (const at of rolled) {
    for (const start of at) {
      const burst = at.filter(x => x >= start && x < start + 300).length;
      assert.ok(burst < Math.max(at.length / 2, 6), `${burst} of ${at.length} closes within 300 ms`);
    }
  }
  for (const socket of sockets) {
    const heard = new Set();
    for (const stay of socket.stays) {
      for (const [i, n] of stay.entries()) {
        assert.ok(!heard.has(n), `${n} came twice`);
        heard.add(n);
        if (i > 0) assert.equal(n, stay[i - 1] + 1, `a gap while connected: ${stay.slice(Math.max(0, i - 3), i + 3)}`);
      }
    }
    assert.ok(heard.size > published / 2, `${heard.size} of ${published}`);
  }
});
