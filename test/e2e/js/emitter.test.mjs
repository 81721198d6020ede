// The official emitter publishes to whatever runs on the nodes: gateways, or Node's own server as the reference.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { closeAll, connect, counts, fence, hears, nodes, request } from "./lib.mjs";

const redis = new Redis(process.env.REDIS);
const emitter = new Emitter(redis);
const sockets = {};
const rooms = { a: ["room:1"], b: ["room:1", "room:2"], c: ["room:2", "room:3"], d: ["room:3"], e: [] };

before(async () => {
  for (const [i, name] of Object.keys(rooms).entries()) {
    sockets[name] = await connect(nodes[i % nodes.length], i % 2 ? "polling" : "websocket");
    for (const room of rooms[name]) await request(sockets[name], "join", room);
  }
  sockets.elsewhere = await connect(`${nodes[0]}/custom`);
  await request(sockets.elsewhere, "join", "room:1");
});
after(() => {
  closeAll();
  redis.disconnect();
});

const cases = {
  "everyone": [e => e, "abcde"],
  "to a room": [e => e.to("room:1"), "ab"],
  "in a room": [e => e.in("room:2"), "bc"],
  "to several rooms, each socket once": [e => e.to("room:1").to("room:2"), "abc"],
  "to a list of rooms": [e => e.to(["room:1", "room:3"]), "abcd"],
  "to a room except another": [e => e.to("room:1").except("room:2"), "a"],
  "everyone except two rooms": [e => e.except(["room:1", "room:3"]), "e"],
  "to one socket id": [e => e.to(sockets.c.id), "c"],
  "to two socket ids": [e => e.to([sockets.a.id, sockets.e.id]), "ae"],
  "to a room except one socket id": [e => e.to("room:3").except(sockets.d.id), "c"],
  "to a room nobody is in": [e => e.to("room:none"), ""],
  "without compression": [e => e.to("room:2").compress(false), "bc"],
};

for (const [name, [address, hearers]] of Object.entries(cases)) {
  test(name, async () => {
    const { elsewhere, ...root } = sockets;
    address(emitter).emit("news", name);
    await fence(id => emitter.emit("fence", id), Object.values(root));
    await fence(id => emitter.of("/custom").emit("fence", id), [elsewhere]);
    const heard = counts(sockets, name);
    assert.deepEqual(Object.keys(heard).filter(key => heard[key] > 0).join(""), hearers);
    assert.ok(Object.values(heard).every(n => n <= 1), JSON.stringify(heard));
  });
}

test("in another namespace", async () => {
  emitter.of("/custom").to("room:1").emit("news", "custom only");
  await hears(sockets.elsewhere, event => event.includes("custom only"));
  const { elsewhere, ...root } = sockets;
  await fence(id => emitter.emit("fence", id), Object.values(root));
  assert.ok(Object.values(counts(root, "custom only")).every(n => n === 0));
});

test("volatile reaches clients that keep up", async () => {
  emitter.to("room:1").volatile.emit("news", "volatile");
  await hears(sockets.a, event => event.includes("volatile"));
});

test("values arrive as they were sent", async () => {
  const values = [1, -1, 1.5, 2 ** 40, true, null, "€ 🔔", { a: [1, { b: Buffer.from([1, 2, 3]) }] }, Buffer.from("raw")];
  emitter.to("room:2").emit("values", ...values);
  for (const name of ["b", "c"]) {
    assert.deepEqual(await hears(sockets[name], ([event]) => event === "values"), ["values", ...values]);
  }
});

test("a date arrives as its ISO text", async () => {
  emitter.to("room:2").emit("date", new Date(1700000000123));
  assert.deepEqual(await hears(sockets.b, ([event]) => event === "date"), ["date", "2023-11-14T22:13:20.123Z"]);
});
