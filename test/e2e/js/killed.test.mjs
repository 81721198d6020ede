// Clients whose connections are cut again and again come back to any of three nodes, of which one after the other is killed and
// started again, while servers of every kind publish: all stay the same sockets and receive everything once, in each publisher's order.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import Redis from "ioredis";
import { Server } from "socket.io";
import { line } from "./cuts.mjs";
import { closeAll, connect, hears, nodes, request } from "./lib.mjs";
import { endReplacements, pids, replace } from "./rolling.mjs";

const [kills, period, clients] = ["KILLS", "PERIOD", "CLIENTS"].map(name => Number(process.env[name]));
const rooms = ["room:a", "room:b", "room:c"];
const redis = new Redis(process.env.REDIS);
const lines = [], servers = [];
let turn = 0;

after(async () => {
  closeAll();
  for (const l of lines) l.end();
  for (const server of servers) await server.close();
  redis.disconnect();
  endReplacements();
});

const record = async pid => Buffer.from(await redis.get(`sio:session:${pid}`) ?? "", "base64").toString("latin1");

// A server of Node's with clients of its own, as in a mixed cluster.
async function nodeServer() {
  const http = createServer();
  const server = new Server(http, { adapter: createAdapter(redis), connectionStateRecovery: { maxDisconnectionDuration: 60_000 } });
  servers.push(server);
  await new Promise(resolve => http.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${http.address().port}` };
}

// What writes entries without being a server of the cluster: the form is that of Node's emitters for streams.
const emitter = {
  publish(room, args) {
    const data = { opts: { rooms: room ? [room] : [], except: [], flags: {} }, packet: { type: 2, data: args, nsp: "/" } };
    return redis.xadd("socket.io", "MAXLEN", "~", 10_000, "*", "uid", "emitter", "nsp", "/", "type", "3", "data", JSON.stringify(data));
  },
};

// Each publisher numbers what it publishes: [name, number, room]. Which of them may be missing, as their outcome is not known, is noted.
class Publisher {
  published = [];
  unknown = new Set();

  constructor(name, pause, publish) {
    Object.assign(this, { name, pause, publish });
  }

  async run(done) {
    for (let n = 0; !done(); n++) {
      const room = [undefined, ...rooms][n % (rooms.length + 1)];
      this.published.push(room);
      await this.publish(room, ["msg", this.name, n]).catch(() => this.unknown.add(n));
      await sleep(this.pause);
    }
  }

  // The numbers that a client in these rooms has to receive.
  expected(own) {
    return [...this.published.keys()].filter(n => !this.published[n] || own.has(this.published[n]));
  }
}

// A client of one gateway that publishes through its rules; it is no client that is looked at.
async function gatewayPublisher(i) {
  const socket = await connect(nodes[i], "websocket", { reconnectionDelay: 50, reconnectionDelayMax: 200 });
  return new Publisher(`gateway ${i}`, 100, async (room, [, ...args]) => {
    while (!socket.connected) await sleep(20);
    const answer = await (room ? socket.timeout(5000).emitWithAck("publish", room, ...args) : socket.timeout(5000).emitWithAck("publish_all", ...args));
    assert.equal(answer.ok, true);
  });
}

test("nothing is lost or repeated, and every return is recovered", async t => {
  const sockets = [];
  const lost = [];
  let recovered = 0;
  for (let i = 0; i < clients; i++) {
    lines.push(await line(() => nodes[turn++ % nodes.length]));
    const socket = await connect(lines[i].url, "websocket", { reconnectionDelay: 50, reconnectionDelayMax: 200 });
    let id = socket.id;
    socket.on("connect", () => {
      if (socket.recovered) recovered++;
      else lost.push(`client ${i}, which was ${id}, is ${socket.id} at ${new Date().toISOString()}`);
      id = socket.id;
    });
    socket.rooms = new Set(rooms.filter((_, n) => i >> n & 1));
    for (const room of socket.rooms) await request(socket, "join", room);
    sockets.push(socket);
  }
  for (const socket of sockets) {
    for (;;) {
      const text = await record(socket._pid);
      if (text.includes(socket.id) && [...socket.rooms].every(room => text.includes(room))) break;
      await sleep(20);
    }
  }

  const { server } = await nodeServer();
  const publishers = [
    new Publisher("node", 60, async (room, args) => void (room ? server.to(room) : server).emit(...args)),
    new Publisher("emitter", 60, (room, args) => emitter.publish(room, args)),
  ];
  for (let i = 0; i < nodes.length; i++) publishers.push(await gatewayPublisher(i));

  let done = false;
  const publishing = publishers.map(publisher => publisher.run(() => done));
  const killing = (async () => {
    for (let i = 0; i < kills; i++) {
      const next = sleep(period);
      await replace(i % pids.length, "SIGKILL");
      await next;
    }
  })().finally(() => done = true);
  // About as many cuts a second as there are dozens of clients, every second of them half-open.
  let cuts = 0;
  const cutting = lines.map(async (l, i) => {
    await sleep(Math.random() * 150 * 12);
    while (!done) {
      l.cut(cuts++ % 2 === 1);
      await sleep(50 + Math.random() * 400);
      l.mend();
      await sleep(1800 + Math.random() * clients * 20);
    }
  });
  await Promise.all([killing, ...cutting, ...publishing]);
  server.emit("end");
  await Promise.all(sockets.map(socket => hears(socket, event => event[0] === "end")));

  let arrived = 0, missing = 0, repeated = 0;
  const faults = [], seen = new Map();
  for (const publisher of publishers) {
    for (const [i, socket] of sockets.entries()) {
      const heard = socket.heard.filter(event => event.includes(publisher.name)).map(event => event[event.indexOf(publisher.name) + 1]);
      const expected = publisher.expected(socket.rooms);
      const have = new Set(heard), want = new Set(expected);
      arrived += have.size;
      const lacks = expected.filter(n => !have.has(n) && !publisher.unknown.has(n));
      missing += lacks.length;
      repeated += heard.length - have.size;
      if (lacks.length) faults.push(`client ${i} misses ${lacks} of ${publisher.name}`);
      if (heard.length > have.size) faults.push(`client ${i} has some of ${publisher.name} twice: ${heard.filter((n, k) => heard.indexOf(n) !== k)}`);
      if (heard.some((n, k) => k > 0 && n < heard[k - 1])) faults.push(`client ${i} has those of ${publisher.name} out of order`);
      for (const n of heard) if (!want.has(n)) faults.push(`client ${i} received ${n} of ${publisher.name}, which is not for it`);
      // What became of those that were not answered is the same for all.
      for (const n of publisher.unknown) {
        const key = `${publisher.name} ${n}`;
        if (!want.has(n)) continue;
        if (!seen.has(key)) seen.set(key, have.has(n));
        else if (seen.get(key) !== have.has(n)) faults.push(`only some clients have ${key}`);
      }
    }
  }
  const published = publishers.reduce((sum, p) => sum + p.published.length, 0);
  const unknown = publishers.reduce((sum, p) => sum + p.unknown.size, 0);
  t.diagnostic(`${kills} kills, ${cuts} cuts, ${published} messages (${unknown} without an answer) to ${clients} clients: ${arrived} arrived, ` +
    `${missing} are missing, ${repeated} came twice: ${(100 * arrived / (arrived + missing)).toFixed(2)} %; ${recovered} returns recovered, ${lost.length} not`);
  assert.deepEqual(faults, []);
  assert.deepEqual(lost, []);
});
