// A roll and a scale-down under load on a real cluster, through a Service that is not sticky; README.md says what it needs.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { Fleet, forward, gateways, helm, items, kubectl, namespace, path, pause, release, required, until } from "./cluster.mjs";

const chart = process.env.CHART ?? fileURLToPath(new URL("../../helm/carillon", import.meta.url));
const [repository, tag] = required("IMAGE").split(/:(?=[^:/]*$)/);
const [redisRepository, redisTag] = required("REDIS_IMAGE").split(/:(?=[^:/]*$)/);
const clients = Number(process.env.CLIENTS ?? 90);
const room = "roll";
const rules = answer => ({ "/": { rules: [
  { event: "join", do: [{ join: "${args[0]}" }] },
  { event: "version", ack: [answer] },
] } });
const values = {
  replicaCount: 3,
  image: { repository, tag },
  devRedis: { enabled: true, image: { repository: redisRepository, tag: redisTag } },
  minReadySeconds: 1,
  resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { memory: "256Mi" } },
  config: { server: { path }, drain: { delay: "5s", window: "10s" }, namespaces: rules("one") },
};

const folder = await mkdtemp(`${tmpdir()}/carillon-roll-`);
async function install(more = {}) {
  await writeFile(`${folder}/values.json`, JSON.stringify({ ...values, ...more }));
  await helm("upgrade", "--install", release, chart, "--wait", "--timeout", "5m", "--values", `${folder}/values.json`);
}

async function step(name, body) {
  const began = performance.now();
  const notes = await body();
  console.log(`ok    ${name} (${Math.round((performance.now() - began) / 1000)} s)${notes ? `: ${notes}` : ""}`);
}

// Has each client note the numbers that it hears, by stay: from one connect to the next.
function note(client) {
  client.stays = [];
  client.on("connect", () => client.stays.push([]));
  client.on("number", n => client.stays.at(-1).push(n));
  if (client.connected) client.stays.push([]);
}

// Publishes numbers while body runs, then checks what the clients heard: nothing twice, and nothing missing while connected.
async function underLoad(fleet, emitter, body) {
  fleet.reset();
  for (const client of fleet.clients) client.stays = [[]];
  const closes = [];
  const closed = () => closes.push(performance.now());
  for (const client of fleet.clients) client.on("disconnect", closed);
  let published = 0;
  const publishing = setInterval(() => emitter.to(room).emit("number", published++), 50);
  await body();
  await fleet.ready();
  clearInterval(publishing);
  await pause(1000);
  for (const client of fleet.clients) client.off("disconnect", closed);

  let missed = 0;
  for (const client of fleet.clients) {
    const heard = new Set();
    for (const stay of client.stays) {
      for (const [i, n] of stay.entries()) {
        assert.ok(!heard.has(n), `${n} came twice`);
        heard.add(n);
        if (i > 0) assert.equal(n, stay[i - 1] + 1, "a gap while connected");
      }
    }
    missed += published - heard.size;
  }
  assert.deepEqual(fleet.reasons.filter(reason => !/^transport (close|error)$/.test(reason)), []);
  const burst = Math.max(0, ...closes.map(at => closes.filter(x => x >= at && x < at + 300).length));
  assert.ok(burst < Math.max(fleet.clients.length / 3, 4), `${burst} closes within 300 ms`);
  return `${published} messages, ${fleet.tally()}, at most ${burst} closes within 300 ms, ` +
    `${missed} of ${published * fleet.clients.length} missed between two connections`;
}

let fleet, redis, forwarded;
await kubectl("create", "namespace", namespace);
try {
  await step("helm install: three nodes and a Redis, ready", () => install());
  const [{ spec: service }] = (await items("services")).filter(s => s.metadata.name === release);
  const url = process.env.URL ?? `http://${service.clusterIP}:${service.ports.find(p => p.name === "http").port}`;
  forwarded = await forward(`${release}-dev-redis`, 6379);
  redis = new Redis({ host: "127.0.0.1", port: forwarded.port });
  const emitter = new Emitter(redis);
  fleet = new Fleet(url, room);

  await step("official clients connect on each transport, through a Service that is not sticky", async () => {
    await fleet.resize(clients);
    fleet.clients.forEach(note);
    assert.deepEqual(fleet.reasons, []);
    return `${clients} clients on ${fleet.nodes().size} nodes`;
  });

  await step("kubectl rollout restart: every client is back, and missed nothing while it was connected", () =>
    underLoad(fleet, emitter, async () => {
      const old = fleet.nodes();
      await kubectl("rollout", "restart", `deployment/${release}`);
      await kubectl("rollout", "status", `deployment/${release}`, "--timeout=5m");
      await until("no client is on an old node", async () =>
        fleet.clients.every(c => c.connected && c.joined === c.id && !old.has(c.id.slice(0, 4))));
    }));

  await step("a scale-down: the same", () =>
    underLoad(fleet, emitter, async () => {
      await kubectl("scale", `deployment/${release}`, "--replicas=2");
      await until("two nodes are left", async () => (await items("pods", "-l", "app.kubernetes.io/component=gateway")).length === 2);
    }));

  await step("a changed rule reaches all nodes by reload, without a disconnect", async () => {
    fleet.reset();
    const pods = (await gateways()).map(pod => pod.metadata.name).sort();
    await install({ replicaCount: 2, config: { ...values.config, namespaces: rules("two") } });
    await until("every client is answered by the new rule", async () => {
      const answers = await Promise.all(fleet.clients.map(client => client.timeout(10_000).emitWithAck("version")));
      return answers.every(answer => answer === "two");
    }, 180_000);
    assert.deepEqual((await gateways()).map(pod => pod.metadata.name).sort(), pods);
    assert.deepEqual(fleet.reasons, []);
  });
} finally {
  fleet?.close();
  redis?.disconnect();
  forwarded?.stop();
  await rm(folder, { recursive: true });
  await kubectl("delete", "namespace", namespace, "--wait=false");
}
