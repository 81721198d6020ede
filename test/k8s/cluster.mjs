// What the steps of the lab share: the cluster's tools, and a fleet of official clients that count what happens to them.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import { io } from "socket.io-client";

export function required(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is not set; test/k8s/README.md says what the lab needs`);
  return value;
}

export const namespace = process.env.NAMESPACE ?? "carillon-lab";
export const release = "carillon";
export const path = `/${namespace}/socket.io/`; // of its own, so that the ingress controller may serve others too

const run = promisify(execFile);

// A command's standard output.
export async function command(file, ...args) {
  const { stdout } = await run(file, args, { maxBuffer: 64 << 20 });
  return stdout;
}
export const kubectl = (...args) => command("kubectl", "--namespace", namespace, ...args);
export const helm = (...args) => command("helm", "--namespace", namespace, ...args);
export const items = async (...what) => JSON.parse(await kubectl("get", ...what, "-o", "json")).items;

export const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

// Waits until yes() is true, or says what it is about; yes may throw until then.
export async function until(what, yes, limit = 120_000) {
  let last;
  for (const end = Date.now() + limit; ; await pause(500)) {
    try {
      if (await yes()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    assert.ok(Date.now() < end, `${what}: not within ${limit / 1000} s${last ? `; ${last.message}` : ""}`);
  }
}

// The gateway's pods that are not on their way out.
export async function gateways() {
  const pods = await items("pods", "-l", `app.kubernetes.io/instance=${release},app.kubernetes.io/component=gateway`);
  return pods.filter(pod => !pod.metadata.deletionTimestamp && pod.status.phase === "Running");
}

// Forwards a port of a Service to this machine; resolves with the local port and a way to end it.
export async function forward(service, port) {
  const child = spawn("kubectl", ["--namespace", namespace, "port-forward", `service/${service}`, `:${port}`]);
  return new Promise((resolve, reject) => {
    let said = "";
    child.stdout.on("data", chunk => { // to the end: kubectl would fail where nobody reads it
      const found = /127\.0\.0\.1:(\d+) ->/.exec(said += chunk);
      if (found) resolve({ port: Number(found[1]), stop: () => child.kill() });
    });
    child.once("exit", code => reject(new Error(`kubectl port-forward: exit ${code}`)));
  });
}

const transports = [["polling"], ["websocket"], ["polling", "websocket"]];

// Clients that stay, on each transport in turn.
export class Fleet {
  constructor(url, room) {
    Object.assign(this, { url, room, clients: [], reasons: [], refusals: [] });
  }

  // Connects clients, or disconnects the oldest, until there are n of them.
  async resize(n) {
    while (this.clients.length > n) this.clients.shift().disconnect();
    for (let i; (i = this.clients.length) < n;) {
      const client = io(this.url, {
        path, forceNew: true, withCredentials: true, reconnectionDelay: 200, reconnectionDelayMax: 2000, transports: transports[i % 3],
      });
      Object.assign(client, { drops: 0, heard: [] });
      client.on("connect", () => client.emit("join", this.room, () => { client.joined = client.id; }));
      client.on("disconnect", reason => {
        if (reason === "io client disconnect") return;
        client.drops++;
        this.reasons.push(reason);
      });
      client.io.on("reconnect_error", error => this.refusals.push(String(error.description?.message ?? error.description ?? error.message)));
      client.on("msg", mark => client.heard.push(mark));
      this.clients.push(client);
      if (i % 20 === 19) await pause(100);
    }
    await this.ready();
  }

  // Resolves when every client is connected and in its room.
  ready(limit) {
    return until("every client is connected", () => this.clients.every(c => c.connected && c.joined === c.id), limit);
  }

  // What marks the node that each client is on: a socket's id begins with it.
  nodes() {
    return new Set(this.clients.map(client => client.id.slice(0, 4)));
  }

  // Forgets what has happened so far.
  reset() {
    this.reasons = [];
    this.refusals = [];
    for (const client of this.clients) client.drops = 0;
  }

  // What has happened, for people.
  tally() {
    const counts = {};
    for (const reason of this.reasons) counts[reason] = (counts[reason] ?? 0) + 1;
    return `${this.clients.length} clients moved ${this.reasons.length} times ${JSON.stringify(counts)}, ` +
      `${this.refusals.length} of their attempts were refused`;
  }

  // Nobody was sent away for good, no session was looked for on another node while it was open, and nobody moved more than
  // most times.
  moved(most) {
    assert.ok(!this.reasons.includes("io server disconnect"), "a client was told that the server has disconnected it");
    assert.ok(!this.reasons.includes("transport error"), "a request of an open session failed");
    const drops = Math.max(...this.clients.map(client => client.drops));
    assert.ok(drops <= most, `a client moved ${drops} times, ${most} at most were expected`);
  }

  close() {
    for (const client of this.clients.splice(0)) client.disconnect();
  }
}

// Newcomers, who bring no cookie, one after the other, until stop is called, which resolves with those that were refused.
export function newcomers(url) {
  const refused = [];
  let stopped = false, came = 0;
  const done = (async () => {
    while (!stopped) {
      const client = io(url, { path, forceNew: true, withCredentials: true, reconnection: false, transports: transports[came++ % 2] });
      try {
        await Promise.race([once(client, "connect"), once(client, "connect_error").then(([error]) => { throw error; })]);
      } catch (error) {
        refused.push(`${new Date().toISOString()} ${error.description?.message ?? error.description ?? error.message}`);
      }
      client.disconnect();
      await pause(50);
    }
  })();
  return { stop: async () => { stopped = true; await done; return { came, refused }; } };
}
