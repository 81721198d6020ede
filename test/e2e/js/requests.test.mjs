// Every request that servers and emitters put to one another on the classic channels.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAdapter } from "@socket.io/redis-adapter";
import { commandsOf, commandsOfGo, connect, hears, request } from "./lib.mjs";
import { clients, emitter, go, heardByNode, ids, startNode, testCommands, testQuestions, until, urls } from "./peers.mjs";

const io = startNode(
  (redis, subscriber) => createAdapter(redis, subscriber, { publishOnSpecificResponseChannel: process.env.OWN === "true", requestsTimeout: 5000 }),
  () => until(async () => (await go("fetchSockets")).ids.length === 3));

// Publishes until the client hears it: a new room is heard once Redis has confirmed it.
async function reaches(room, client) {
  const mark = `mark-${Math.random()}`;
  await until(() => { emitter.to(room).emit("news", mark); return client.heard.some(event => event.includes(mark)); });
}

testCommands(io, { emitter: commandsOf(emitter), node: commandsOf(io), go: commandsOfGo(go) }, reaches);
testQuestions(io);

test("the emitter's server-side emit reaches the servers", async () => {
  emitter.serverSideEmit("note", "from the emitter", { a: [1, null] });
  await hears(clients.go, ([event, args]) => event === "noted" && args[0] === "from the emitter");
  await until(() => heardByNode.some(args => args[0] === "from the emitter"));
  assert.deepEqual(heardByNode.find(args => args[0] === "from the emitter"), ["from the emitter", { a: [1, null] }]);
});

test("node learns all rooms", async () => {
  const rooms = await io.of("/").adapter.allRooms();
  for (const room of ["room:all", "room:gateway", "room:go", "room:node", ...ids("gateway", "go", "node")]) assert.ok(rooms.has(room), room);
});

test("node gets what there is when a client does not answer in time", async () => {
  for (const on of ["gateway", "go"]) {
    const mute = await connect(urls[on]);
    await request(mute, "join", "room:mute");
    await assert.rejects(io.to(["room:mute", "room:node"]).timeout(500).emitWithAck("question"), error => {
      assert.deepEqual(error.responses, [{ from: "node", args: [] }]);
      return true;
    });
    mute.disconnect();
  }
});

test("go gets what there is when a client of node does not answer in time", async () => {
  const mute = await connect(urls.node);
  await request(mute, "join", "room:silent");
  const { answers, error } = await go("emitWithAck", { to: ["room:silent", "room:gateway"], event: "question", timeout: 500 });
  assert.deepEqual(answers.map(({ json }) => JSON.parse(json)[0].from), ["gateway"]);
  assert.notEqual(error, undefined);
  mute.disconnect();
});
