// A gateway and a server of pkg/socketio (NODES, in this order) in one cluster with Node's own server, which runs here, and
// what the three ask of one another, whatever the channels.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { Server } from "socket.io";
import { closeAll, connect, hears, nodes, request } from "./lib.mjs";

const redis = new Redis(process.env.REDIS);
const subscriber = redis.duplicate({ enableReadyCheck: false }); // INFO is no command of a subscriber
// ioredis loses sharded subscriptions that are made before it is connected.
await Promise.all([once(redis, "ready"), once(subscriber, "ready")]);

export const emitter = new Emitter(redis);
export const clients = {};
export const heardByNode = [];
export const urls = { gateway: nodes[0], go: nodes[1] };

// Starts Node's server with an adapter and connects a client to each, for the tests of the file that calls it; ready is what
// they wait for besides.
export function startNode(adapter, ready = async () => {}) {
  const http = createServer();
  const io = new Server(http, { adapter: adapter(redis, subscriber) });
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
    // Node counts the servers it hears of in Redis.
    await until(async () => (await io.fetchSockets()).length === 3);
    // It does not tell when it has subscribed to a room; the answer to this comes after that.
    await subscriber.ping();
    await ready();
  });
  after(async () => {
    closeAll();
    await io.close();
    redis.disconnect();
    subscriber.disconnect();
  });
  return io;
}

// Asks again until the answer is yes; the test's own limit ends it otherwise.
export async function until(yes) {
  while (!await yes()) await new Promise(resolve => setTimeout(resolve, 10));
}

// What the server of pkg/socketio answers to a call of its API.
export const go = (method, parameters = {}) => clients.go.timeout(60_000).emitWithAck("call", { method, timeout: 50_000, ...parameters });

export const ids = (...names) => names.map(name => clients[name].id).sort();

const tagged = (...names) => names.map(name => "010203" + Buffer.from(name).toString("hex")).sort();

// The commands of each commander reach the sockets of all servers; reached is asked of a room that a client has been put into.
export function testCommands(io, commanders, reached = async () => {}) {
  const members = async room => (await io.in(room).fetchSockets()).map(socket => socket.id).sort();
  for (const [by, command] of Object.entries(commanders)) {
    for (const on of ["gateway", "go", "node"]) {
      test(`${by} makes a socket of ${on} join and leave rooms`, async () => {
        const rooms = [`room:${by}-${on}-1`, `room:${by}-${on}-2`];
        await command.join(`room:${on}`, rooms);
        for (const room of rooms) {
          await until(async () => (await members(room)).length > 0);
          assert.deepEqual(await members(room), ids(on));
          await reached(room, clients[on]);
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
}

// Node's server and ours ask all others, and answer them.
export function testQuestions(io) {
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
    assert.deepEqual(bytes.map(b => b.toString("hex")).sort(), tagged("gateway", "go", "node"));
    assert.equal((await io.to("room:all").timeout(5000).emitWithAck("empty")).length, 3);
  });

  test("go fetches the sockets of all", async () => {
    const fetched = await go("fetchSockets");
    assert.deepEqual([fetched.error, fetched.missing], [undefined, undefined]);
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
    assert.deepEqual(bytes.answers.map(({ attachments }) => attachments[0]).sort(), tagged("gateway", "go", "node"));
  });
}
