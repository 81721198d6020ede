// What becomes of Redis must not concern clients of one node with each other, and no client's connection.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import Redis from "ioredis";
import { closeAll, connect, nodes, request } from "./lib.mjs";

const ops = process.env.OPS.split(",");
const sockets = {};
let redis, admin, marks = 0;

function startRedis() {
  redis = spawn("redis-server", ["--bind", "127.0.0.1", "--port", process.env.REDIS_PORT, "--save", "", "--dir", process.env.REDIS_DIR]);
}

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

async function until(yes, limit = 30_000) {
  for (const end = Date.now() + limit; !await yes(); await pause(20)) assert.ok(Date.now() < end, `not within ${limit} ms: ${yes}`);
}

async function metric(i, name) {
  const text = await (await fetch(`${ops[i]}/metrics`)).text();
  return Number(text.split("\n").find(line => line.startsWith(`carillon_${name} `))?.split(" ")[1]);
}

const status = async (i, path) => (await fetch(ops[i] + path)).status;
const each = async ask => Promise.all([ask(0), ask(1)]);

// Publishes from a1 to the room, and resolves when everybody in `hearers` has heard that very message. What is delivered while Redis
// is frozen or away was not held up by it, however busy the machine.
async function delivers(hearers, limit) {
  const mark = `mark-${marks++}`;
  sockets.a1.emit("publish", "room:x", mark);
  await until(() => hearers.every(name => sockets[name].heard.some(event => event.includes(mark))), limit);
}

// Publishes until one message gets through to the other node.
async function back() {
  await until(() => delivers(["a2", "b1"], 1000).then(() => true, () => false), 60_000);
}

async function join(name, url) {
  sockets[name] = await connect(url);
  sockets[name].on("disconnect", reason => assert.fail(`${name} lost its connection: ${reason}`));
}

before(async () => {
  startRedis();
  await until(async () => (await each(i => status(i, "/readyz"))).every(code => code === 200));
  admin = new Redis(process.env.REDIS, { retryStrategy: () => 100 });
  admin.on("error", () => {});
  for (const [name, url] of [["a1", nodes[0]], ["a2", nodes[0]], ["b1", nodes[1]]]) {
    await join(name, url);
    await request(sockets[name], "join", "room:x");
  }
  await delivers(["a1", "a2", "b1"]);
});
after(async () => {
  for (const socket of Object.values(sockets)) socket.off("disconnect");
  closeAll();
  admin.disconnect();
  redis.kill("SIGKILL");
  await once(redis, "exit");
});

// Whatever is wrong with Redis: neighbours hear each other, new clients are let in, the node stays ready and says what is wrong.
async function survives(name) {
  await until(async () => (await each(i => metric(i, "redis_up"))).every(up => up === 0));
  assert.deepEqual(await each(i => status(i, "/readyz")), [200, 200]);
  assert.deepEqual(await each(i => status(i, "/livez")), [200, 200]);
  await delivers(["a1", "a2"]);
  await join(name, nodes[0]);
  sockets[name].emit("join", "room:x");
  await until(() => delivers(["a1", "a2", name], 1000).then(() => true, () => false));
}

test("frozen for six seconds", async () => {
  redis.kill("SIGSTOP");
  const frozen = pause(6000);
  for (let i = 0; i < 10; i++) await delivers(["a1", "a2"]);
  await survives("during the freeze");
  await frozen;
  redis.kill("SIGCONT");
  await back();
  await until(async () => (await each(i => metric(i, "redis_up"))).every(up => up === 1));
});

test("subscriptions lost twice, half a second apart", async () => {
  const gaps = await each(i => metric(i, "redis_resubscribes_total"));
  for (let i = 0; i < 2; i++) {
    await admin.client("KILL", "TYPE", "pubsub");
    await pause(500);
    await delivers(["a1", "a2"]);
  }
  await back();
  await until(async () => (await each(i => metric(i, "redis_resubscribes_total"))).every((count, i) => count > gaps[i]));
});

test("killed, and back empty", async () => {
  const gaps = await each(i => metric(i, "redis_resubscribes_total"));
  redis.kill("SIGKILL");
  await once(redis, "exit");
  await survives("without Redis");
  startRedis();
  await until(() => admin.ping().then(() => true, () => false));
  await back();
  await until(async () => (await each(i => metric(i, "redis_resubscribes_total"))).every((count, i) => count > gaps[i]));
});
