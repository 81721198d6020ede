// The chart on a real cluster, from installation to removal; README.md says what it needs.
import assert from "node:assert/strict";
import { copyFile, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { Fleet, forward, gateways, helm, items, kubectl, namespace, newcomers, path, pause, release, required, until } from "./cluster.mjs";

const chart = process.env.CHART ?? fileURLToPath(new URL("../../helm/carillon", import.meta.url));
const [repository, tag] = required("IMAGE").split(/:(?=[^:/]*$)/);
const [redisRepository, redisTag] = required("REDIS_IMAGE").split(/:(?=[^:/]*$)/);
const ingress = required("INGRESS");
const prometheus = required("PROMETHEUS");
const rulesFile = `${required("PROMETHEUS_RULES")}/${namespace}.yml`;
const room = "lab";
const drain = { delay: 5, window: 10 };

// What every installation and upgrade of the lab is given; a step adds to it.
const values = {
  replicaCount: 3,
  image: { repository, tag },
  devRedis: { enabled: true, image: { repository: redisRepository, tag: redisTag } },
  ingress: { enabled: true, className: process.env.INGRESS_CLASS ?? "traefik" },
  stickiness: { controller: "traefik" },
  minReadySeconds: 1,
  resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { memory: "256Mi" } },
  config: {
    server: { path },
    drain: { delay: `${drain.delay}s`, window: `${drain.window}s` },
    namespaces: { "/": { rules: [{ event: "join", do: [{ join: "${args[0]}" }] }] } },
  },
};
const leaving = (drain.delay + drain.window + 15) * 1000;

const set = more => Object.entries(more).flatMap(([key, value]) => ["--set-json", `${key}=${JSON.stringify(value)}`]);
const upgrade = (more, ...flags) =>
  helm("upgrade", release, chart, "--wait", "--timeout", "5m", ...set(values), ...set(more), ...flags);

const fleet = new Fleet(ingress, room);
let marks = 0;

// Each step goes on from the one before; the first that fails ends the run.
async function step(name, body) {
  const began = performance.now();
  const notes = await body();
  console.log(`ok    ${name} (${Math.round((performance.now() - began) / 1000)} s)${notes ? `: ${notes}` : ""}`);
}

// Publishes with the official emitter; every client hears it once.
async function publish() {
  const { port, stop } = await forward(`${release}-dev-redis`, 6379);
  const redis = new Redis({ host: "127.0.0.1", port });
  redis.on("error", () => {}); // when the forwarding ends
  const mark = `mark-${marks++}`;
  await new Promise(resolve => redis.on("ready", resolve));
  new Emitter(redis).to(room).emit("msg", mark);
  await until("every client hears the emitter", () => fleet.clients.every(client => client.heard.includes(mark)), 30_000);
  for (const client of fleet.clients) assert.equal(client.heard.filter(heard => heard === mark).length, 1);
  redis.disconnect();
  stop();
}

async function query(expression) {
  const response = await fetch(`${prometheus}/api/v1/query?query=${encodeURIComponent(expression)}`);
  const { data } = await response.json();
  return data.result.map(({ value }) => Number(value[1]));
}

await kubectl("create", "namespace", namespace);
await kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted");
try {
  await step("helm install: three nodes and a Redis, ready", async () => {
    await helm("install", release, chart, "--wait", "--timeout", "5m", ...set(values));
    const pods = await gateways();
    assert.equal(pods.length, 3);
    for (const pod of pods) assert.ok(pod.status.conditions.some(c => c.type === "Ready" && c.status === "True"), pod.metadata.name);
  });

  await step("official clients connect through the ingress on each transport, and stay on their node", async () => {
    await until("the ingress controller knows three nodes", async () => {
      const nodes = new Set();
      for (let i = 0; i < 12; i++) {
        const opened = await (await fetch(`${ingress}${path}?EIO=4&transport=polling`)).text();
        nodes.add(JSON.parse(opened.slice(1)).sid.slice(0, 4));
      }
      return nodes.size === 3;
    });
    await fleet.resize(60);
    const notes = `60 clients on ${fleet.nodes().size} nodes`;
    assert.equal(fleet.nodes().size, 3);
    await until("two thirds use a WebSocket", () =>
      fleet.clients.filter(client => client.io.engine.transport.name === "websocket").length === 40, 20_000);
    assert.deepEqual(fleet.reasons, []);
    return notes;
  });

  await step("what the official emitter publishes reaches every client once", publish);

  await step("Prometheus has the figures, and takes the alert rules", async () => {
    await until("Prometheus counts the clients", async () =>
      (await query(`sum(carillon_connections{namespace="${namespace}"})`))[0] === fleet.clients.length);
    await until("Prometheus sees that each node has its Redis", async () =>
      String(await query(`carillon_redis_up{namespace="${namespace}"}`)) === "1,1,1");

    await copyFile(`${chart}/files/alerts.yaml`, rulesFile);
    const reload = await fetch(`${prometheus}/-/reload`, { method: "POST" });
    assert.ok(reload.ok, `reload: ${await reload.text()}`);
    let rules;
    await until("the rules are evaluated", async () => {
      const { data } = await (await fetch(`${prometheus}/api/v1/rules`)).json();
      rules = data.groups.filter(group => group.file === rulesFile).flatMap(group => group.rules);
      return rules.length > 0 && rules.every(rule => rule.health === "ok");
    });
    const firing = rules.filter(rule => rule.state === "firing").map(rule => rule.name);
    assert.deepEqual(firing, [], "a healthy installation raises no alert");
  });

  await step("helm upgrade changes the configuration, and nobody is refused", async () => {
    fleet.reset();
    const old = fleet.nodes();
    const visitors = newcomers(ingress);
    await upgrade({ "config.engine": { ping_interval: "20s" } });
    await pause(leaving); // of the last of the old pods
    const { came, refused } = await visitors.stop();
    await fleet.ready();
    const notes = `${came} newcomers, ${refused.length} refused; ${fleet.tally()}`;
    assert.deepEqual(refused, []);
    for (const node of fleet.nodes()) assert.ok(!old.has(node), "a client is still on an old node");
    fleet.moved(3); // a new node may be an old one's neighbour only for a while
    await publish();
    return notes;
  });

  await step("the autoscaler follows connections up, and down again without a storm", async () => {
    const quick = { stabilizationWindowSeconds: 0, policies: [{ type: "Pods", value: 1, periodSeconds: 30 }] };
    await upgrade({
      autoscaling: { enabled: true, minReplicas: 2, maxReplicas: 5, cpuUtilization: null, connections: 40, behavior: { scaleDown: quick } },
    });
    assert.ok((await gateways()).length >= 2, "the autoscaler takes over as many nodes as there are, not one");
    await fleet.resize(180);
    await until("five nodes", async () => (await gateways()).length === 5, 300_000);
    fleet.reset();
    await fleet.resize(45);
    await until("two nodes", async () => (await gateways()).length === 2, 600_000);
    await pause(leaving);
    await fleet.ready();
    const notes = `3 of 5 nodes left; ${fleet.tally()}`;
    fleet.moved(3);
    await publish();
    await upgrade({});
    return notes;
  });

  await step("kubectl drain empties a machine, and its clients go on elsewhere", async () => {
    const machine = process.env.DRAIN_NODE ?? (await gateways())[0].spec.nodeName;
    await until("every node has clients", async () => {
      await fleet.resize(fleet.clients.length + 30); // connections do not move to a new node by themselves
      return fleet.nodes().size === 3;
    });
    fleet.reset();
    const visitors = newcomers(ingress);
    try {
      await kubectl("drain", machine, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=5m",
        `--pod-selector=app.kubernetes.io/instance=${release},app.kubernetes.io/component=gateway`);
      for (const pod of await gateways()) assert.notEqual(pod.spec.nodeName, machine);
    } finally {
      await kubectl("uncordon", machine);
    }
    const { came, refused } = await visitors.stop();
    await fleet.ready();
    const notes = `${came} newcomers, ${refused.length} refused; ${fleet.tally()}`;
    assert.deepEqual(refused, []);
    assert.notDeepEqual(fleet.reasons, [], `nobody was on ${machine}`);
    fleet.moved(3);
    await publish();
    return notes;
  });

  await step("a bad upgrade rolls back by itself, and nobody notices", async () => {
    fleet.reset();
    const pods = (await gateways()).map(pod => pod.metadata.name).sort();
    const bad = { "image.tag": "there-is-no-such-tag", "image.pullPolicy": "Never", "configCheck.enabled": false };
    await assert.rejects(upgrade(bad, "--atomic", "--timeout", "60s"));
    await until("the release is as before", async () => JSON.parse(await helm("status", release, "-o", "json")).info.status === "deployed");
    assert.deepEqual((await gateways()).map(pod => pod.metadata.name).sort(), pods);
    assert.deepEqual(fleet.reasons, []);
    const faulty = config => upgrade({ config: { ...values.config, ...config } });
    await assert.rejects(faulty({ log: { level: "loud" } }), /config.log.level/, "the schema names the key");
    const nonsense = { "/": { rules: [{ event: "join", if: "nonsense(" }] } };
    await assert.rejects(faulty({ namespaces: nonsense }), /rules\[0\]\.if: expression/, "the gateway refuses what no schema finds, and says where");
    assert.deepEqual(fleet.reasons, []);
    await publish();
  });

  await step("helm uninstall leaves nothing", async () => {
    fleet.close();
    await helm("uninstall", release, "--wait", "--timeout", "5m");
    const kinds = "all,configmap,secret,ingress,networkpolicy,poddisruptionbudget,horizontalpodautoscaler,serviceaccount,job,endpointslice";
    const left = async () => (await items(kinds, "-l", `app.kubernetes.io/instance=${release}`)).map(item => `${item.kind}/${item.metadata.name}`);
    await until("the pods have left", async () => (await items("pods")).length === 0);
    assert.deepEqual(await left(), []);
  });
} finally {
  fleet.close();
  await rm(rulesFile, { force: true });
  await kubectl("delete", "namespace", namespace, "--wait=false");
}
