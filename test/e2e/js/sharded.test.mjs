// The sharded adapter in the mode that MODE names, or the streams adapter for the mode "streams". Emitters publish on classic
// channels: only gateways receive that.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { commandsOf, commandsOfGo, counts, hears, request } from "./lib.mjs";
import { clients, emitter, go, startNode, testCommands, testQuestions } from "./peers.mjs";

const mode = process.env.MODE;
const io = startNode((redis, subscriber) => mode === "streams" ? createStreamsAdapter(redis) : createShardedAdapter(redis, subscriber, { subscriptionMode: mode }));

const payload = { text: "€ 🔔", list: [1, 2.5, null], large: "x".repeat(70_000) };
const binary = { deep: Buffer.from([9, 8, 7]) };

for (const from of ["gateway", "node"]) {
  const to = from === "gateway" ? "node" : "gateway";
  for (const [kind, value] of Object.entries({ text: payload, binary })) {
    test(`what a client of ${from} publishes to a room, ${kind}, is heard once by its members`, async () => {
      const mark = `room-${from}-${kind}`;
      await request(clients[from], "publish", "room:all", mark, value);
      for (const client of Object.values(clients)) {
        assert.deepEqual(await hears(client, event => event.includes(mark)), ["msg", "room:all", mark, value]);
      }
      await request(clients[from], "publish_all", `${mark}-all`, value);
      await Promise.all(Object.values(clients).map(client => hears(client, event => event.includes(`${mark}-all`))));
      assert.deepEqual(counts(clients, mark), { gateway: 1, go: 1, node: 1 });
    });
  }

  test(`what a client of ${from} publishes to one socket reaches that socket alone`, async () => {
    const mark = `socket-${from}`;
    await request(clients[from], "publish", clients[to].id, mark);
    await hears(clients[to], event => event.includes(mark));
    await request(clients[from], "publish_all", `${mark}-all`);
    await Promise.all(Object.values(clients).map(client => hears(client, event => event.includes(`${mark}-all`))));
    assert.deepEqual(Object.entries(counts(clients, mark)).filter(([, n]) => n > 0), [[to, 1]]);
  });

  test(`a public room with a name as long as a socket id is reached from ${from}`, async () => {
    const room = `room:${from}-`.padEnd(20, "x");
    await request(clients[to], "join", room);
    await request(clients[from], "publish", room, `long-${from}`);
    await hears(clients[to], event => event.includes(`long-${from}`));
  });
}

test("node's packets reach several rooms but those excepted, once", async () => {
  io.to("room:gateway").to("room:all").except("room:go").emit("several");
  await Promise.all(["gateway", "node"].map(name => hears(clients[name], ([event]) => event === "several")));
  io.emit("after several");
  await hears(clients.go, ([event]) => event === "after several");
  assert.deepEqual(counts(clients, "several"), { gateway: 1, go: 0, node: 1 });
});

testCommands(io, { node: commandsOf(io), go: commandsOfGo(go) });
testQuestions(io);

test("the emitter reaches the clients of gateways", async () => {
  emitter.to("room:all").emit("news", "from the emitter");
  emitter.to(clients.gateway.id).emit("news", "to one");
  for (const name of ["gateway", "go"]) await hears(clients[name], event => event.includes("from the emitter"));
  await hears(clients.gateway, event => event.includes("to one"));
  assert.deepEqual(counts(clients, "from the emitter"), { gateway: 1, go: 1, node: 0 });
});
