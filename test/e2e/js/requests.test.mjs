// Every request that servers and emitters put to one another: a gateway and a server of pkg/socketio (NODES, in this order)
// in one cluster with Node's own server, which runs here.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { createAdapter } from "@socket.io/redis-adapter";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { Server } from "socket.io";
import { closeAll, commandsOf, commandsOfGo, connect, hears, nodes, request } from "./lib.mjs";

const redis = new Redis(process.env.REDIS);
const subscriber = redis.duplicate();
const http = createServer();
const io = new Server(http, {
  adapter: createAdapter(redis, subscriber, { publishOnSpecificResponseChannel: process.env.OWN === "true", requestsTimeout: 5000 }),
});
const emitter = new Emitter(redis);
const urls = { gateway: nodes[0], go: nodes[1] };
const clients = {};
const heardByNode = [];

before(async () => {
  io.on("note", (...args) => heardByNode.push(args));
  io.on("question", (...args) => args.pop()({ node: args }));
  io.on("connection", socket => {
    socket.data = { user: "n" };
    socket.on("join", (room, ack) => { socket.join(room); ack({ ok: true }); });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  urls.node = `http://127.0.0.1:${http.address().port}`;
  for (const [name, url] of Object.entries(urls)) {
    clients[name] = await connect(url);
    await request(clients[name], "join", "room:all");
    await request(clients[name], "join", `room:${name}`);
    clients[name].on("question", (...args) => args.pop()({ from: name, args }));
    clients[name].on("bytes", (bytes, ack) => ack(Buffer.concat([bytes, Buffer.from(name)])));
    clients[name].on("empty", ack => ack());
  }
  // Node counts the servers it hears of in Redis.
  await until(async () => (await io.fetchSockets()).length === 3);
});
after(async () => {
  closeAll();
  await io.close();
  redis.disconnect();
  subscriber.disconnect();
});

// Asks again until the answer is yes; the test's own limit ends it otherwise.
async function until(yes) {
  while (!await yes()) await new Promise(resolve => setTimeout(resolve, 10));
}

// What the server of pkg/socketio answers to a call of its API.
const go = (method, parameters = {}) => clients.go.timeout(20_000).emitWithAck("call", { method, timeout: 10_000, ...parameters });

const ids = (...names) => names.map(name => clients[name].id).sort();
const members = async room => (await io.in(room).fetchSockets()).map(socket => socket.id).sort();

// Publishes until the client hears it: a new room is heard once Redis has confirmed it.
async function reaches(room, client) {
  const mark = `mark-${Math.random()}`;
  await until(() => { emitter.to(room).emit("news", mark); return client.heard.some(event => event.includes(mark)); });
}

const commanders = { emitter: commandsOf(emitter), node: commandsOf(io), go: commandsOfGo(go) };

for (const [by, command] of Object.entries(commanders)) {
  for (const on of ["gateway", "go", "node"]) {
    test(`${by} makes a socket of ${on} join and leave rooms`, async () => {
      const rooms = [`room:${by}-${on}-1`, `room:${by}-${on}-2`];
      await command.join(`room:${on}`, rooms);
      for (const room of rooms) {
        await until(async () => (await members(room)).length > 0);
        assert.deepEqual(await members(room), ids(on));
        await reaches(room, clients[on]);
      }
      await command.leave("room:all", [rooms[0]]);
      await until(async () => (await members(rooms[0])).length === 0);
      assert.deepEqual(await members(rooms[1]), ids(on));
    });

    test(`${by} disconnects a socket of ${on}`, async () => {
      const client = await connect(urls[on]);
      await request(client, "join", "room:leaving");
      const gone = once(client, "disconnect");
      await command.disconnect("room:leaving");
      assert.equal((await gone)[0], "io server disconnect");
      assert.ok(Object.values(clients).every(other => other.connected));
    });
  }
}

test("the emitter's server-side emit reaches the servers", async () => {
  emitter.serverSideEmit("note", "from the emitter", { a: [1, null] });
  await hears(clients.go, ([event, args]) => event === "noted" && args[0] === "from the emitter");
  await until(() => heardByNode.some(args => args[0] === "from the emitter"));
  assert.deepEqual(heardByNode.find(args => args[0] === "from the emitter"), ["from the emitter", { a: [1, null] }]);
});

test("node fetches the sockets of all", async () => {
  const sockets = await io.fetchSockets();
  assert.deepEqual(sockets.map(socket => socket.id).sort(), ids("gateway", "go", "node"));
  for (const name of ["gateway", "go"]) {
    const socket = sockets.find(({ id }) => id === clients[name].id);
    for (const room of [socket.id, "room:all", `room:${name}`]) assert.ok(socket.rooms.has(room), room);
    assert.equal(socket.handshake.address, "127.0.0.1");
    assert.equal(socket.handshake.headers.host, new URL(urls[name]).host);
    assert.equal(socket.handshake.query.EIO, "4");
    assert.ok(!Number.isNaN(Date.parse(socket.handshake.time)));
    assert.equal(typeof socket.data, "object");
  }
  assert.deepEqual((await io.in("room:go").fetchSockets()).map(socket => socket.id), ids("go"));
  assert.deepEqual((await io.except("room:go").fetchSockets()).map(socket => socket.id).sort(), ids("gateway", "node"));
});

test("node learns all rooms", async () => {
  const rooms = await io.of("/").adapter.allRooms();
  for (const room of ["room:all", "room:gateway", "room:go", "room:node", ...ids("gateway", "go", "node")]) assert.ok(rooms.has(room), room);
});

test("node's server-side emit is heard, and answered by all, also where nobody handles it", async () => {
  io.serverSideEmit("note", "from node");
  await hears(clients.go, ([event, args]) => event === "noted" && args[0] === "from node");
  const started = Date.now();
  const answers = await io.serverSideEmitWithAck("question", 1, "two");
  assert.equal(answers.length, 2);
  assert.ok(answers.some(answer => answer === "go"), JSON.stringify(answers));
  assert.equal((await io.serverSideEmitWithAck("nobody handles this")).length, 2);
  assert.ok(Date.now() - started < 2000);
});

test("node emits and collects acknowledgements", async () => {
  const answers = await io.to("room:all").timeout(5000).emitWithAck("question", { q: 1 });
  assert.deepEqual(answers.sort((a, b) => a.from.localeCompare(b.from)), ["gateway", "go", "node"].map(from => ({ from, args: [{ q: 1 }] })));
});

test("node emits bytes and collects bytes", async () => {
  const answers = await io.to("room:all").timeout(5000).emitWithAck("bytes", Buffer.from([1, 2, 3]));
  assert.deepEqual(answers.map(bytes => bytes.toString("hex")).sort(), ["gateway", "go", "node"].map(name => "010203" + Buffer.from(name).toString("hex")).sort());
});

test("node collects empty acknowledgements", async () => {
  assert.equal((await io.to("room:all").timeout(5000).emitWithAck("empty")).length, 3);
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

test("go fetches the sockets of all", async () => {
  await until(async () => (await go("fetchSockets")).ids.length === 3);
  const fetched = await go("fetchSockets");
  assert.equal(fetched.error, undefined);
  assert.deepEqual(fetched.ids.sort(), ids("gateway", "go", "node"));
  assert.ok(fetched.data.some(data => data?.user === "n"), JSON.stringify(fetched.data));
  assert.deepEqual((await go("fetchSockets", { to: ["room:node"] })).ids, ids("node"));
});

test("go learns all rooms", async () => {
  const { rooms, missing, error } = await go("allRooms");
  assert.deepEqual([missing, error], [undefined, undefined]);
  for (const room of ["room:all", "room:gateway", "room:node", ...ids("gateway", "node")]) assert.ok(rooms.includes(room), room);
});

test("go's server-side emit is heard and answered by node", async () => {
  await go("serverSideEmit", { event: "note", args: ["from go", 1] });
  await until(() => heardByNode.some(args => args[0] === "from go"));
  const { answers, error } = await go("serverSideEmitWithAck", { event: "question", args: [7] });
  assert.equal(error, undefined);
  assert.deepEqual(answers.map(({ json }) => json).sort(), ["[]", '[{"node":[7]}]']);
});

test("go emits and collects acknowledgements, binary too", async () => {
  const { answers, error } = await go("emitWithAck", { to: ["room:all"], event: "question", args: [{ q: 1 }] });
  assert.equal(error, undefined);
  assert.deepEqual(answers.map(({ json }) => JSON.parse(json)[0].from).sort(), ["gateway", "go", "node"]);
  const bytes = await go("emitWithAckBinary", { to: ["room:all"], event: "bytes" });
  assert.deepEqual(bytes.answers.map(({ attachments }) => attachments[0]).sort(),
    ["gateway", "go", "node"].map(name => "010203" + Buffer.from(name).toString("hex")).sort());
});

test("go gets what there is when a client of node does not answer in time", async () => {
  const mute = await connect(urls.node);
  await request(mute, "join", "room:silent");
  const { answers, error } = await go("emitWithAck", { to: ["room:silent", "room:gateway"], event: "question", timeout: 500 });
  assert.deepEqual(answers.map(({ json }) => JSON.parse(json)[0].from), ["gateway"]);
  assert.notEqual(error, undefined);
  mute.disconnect();
});
