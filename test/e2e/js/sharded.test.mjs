// A gateway and a server of pkg/socketio (NODES, in this order) in one cluster with Node's own server, which runs here,
// over the sharded adapter in the mode that MODE names. Emitters publish on classic channels: only gateways hear them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { createShardedAdapter } from "@socket.io/redis-adapter";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { Server } from "socket.io";
import { closeAll, commandsOf, commandsOfGo, connect, counts, hears, nodes, request } from "./lib.mjs";

const redis = new Redis(process.env.REDIS);
const subscriber = redis.duplicate();
const http = createServer();
const io = new Server(http, { adapter: createShardedAdapter(redis, subscriber, { subscriptionMode: process.env.MODE }) });
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
    socket.on("publish", (room, ...args) => { io.to(room).emit("msg", room, ...args.slice(0, -1)); args.at(-1)({ ok: true }); });
    socket.on("publish_all", (...args) => { io.emit("msg", ...args.slice(0, -1)); args.at(-1)({ ok: true }); });
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
  await until(async () => (await io.fetchSockets()).length === 3);
  // Node does not tell when it has subscribed to a room; the answer to this comes after that.
  await subscriber.ping();
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

const commanders = { node: commandsOf(io), go: commandsOfGo(go) };

for (const [by, command] of Object.entries(commanders)) {
  for (const on of ["gateway", "go", "node"]) {
    test(`${by} makes a socket of ${on} join and leave rooms, and leave`, async () => {
      const rooms = [`room:${by}-${on}-1`, `room:${by}-${on}-2`];
      await command.join(`room:${on}`, rooms);
      for (const room of rooms) {
        await until(async () => (await members(room)).length > 0);
        assert.deepEqual(await members(room), ids(on));
      }
      await command.leave("room:all", [rooms[0]]);
      await until(async () => (await members(rooms[0])).length === 0);
      assert.deepEqual(await members(rooms[1]), ids(on));

      const client = await connect(urls[on]);
      await request(client, "join", "room:leaving");
      const gone = once(client, "disconnect");
      await command.disconnect("room:leaving");
      assert.equal((await gone)[0], "io server disconnect");
    });
  }
}

test("the emitter reaches the clients of gateways", async () => {
  emitter.to("room:all").emit("news", "from the emitter");
  emitter.to(clients.gateway.id).emit("news", "to one");
  for (const name of ["gateway", "go"]) await hears(clients[name], event => event.includes("from the emitter"));
  await hears(clients.gateway, event => event.includes("to one"));
  assert.deepEqual(counts(clients, "from the emitter"), { gateway: 1, go: 1, node: 0 });
});

test("node fetches the sockets of all", async () => {
  const sockets = await io.fetchSockets();
  assert.deepEqual(sockets.map(socket => socket.id).sort(), ids("gateway", "go", "node"));
  for (const name of ["gateway", "go"]) {
    const socket = sockets.find(({ id }) => id === clients[name].id);
    for (const room of [socket.id, "room:all", `room:${name}`]) assert.ok(socket.rooms.has(room), room);
    assert.equal(socket.handshake.query.EIO, "4");
  }
  assert.deepEqual((await io.in("room:go").fetchSockets()).map(socket => socket.id), ids("go"));
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

test("node emits and collects acknowledgements, binary and empty too", async () => {
  const answers = await io.to("room:all").timeout(5000).emitWithAck("question", { q: 1 });
  assert.deepEqual(answers.sort((a, b) => a.from.localeCompare(b.from)), ["gateway", "go", "node"].map(from => ({ from, args: [{ q: 1 }] })));
  const bytes = await io.to("room:all").timeout(5000).emitWithAck("bytes", Buffer.from([1, 2, 3]));
  assert.deepEqual(bytes.map(b => b.toString("hex")).sort(), ["gateway", "go", "node"].map(name => "010203" + Buffer.from(name).toString("hex")).sort());
  assert.equal((await io.to("room:all").timeout(5000).emitWithAck("empty")).length, 3);
});

test("go fetches the sockets of all and learns all rooms", async () => {
  const fetched = await go("fetchSockets");
  assert.deepEqual([fetched.error, fetched.missing], [undefined, undefined]);
  assert.deepEqual(fetched.ids.sort(), ids("gateway", "go", "node"));
  assert.ok(fetched.data.some(data => data?.user === "n"), JSON.stringify(fetched.data));
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
