// Clients that do not let go, in every state that a connection can be in, and one that is well: the node leaves in time.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, test } from "node:test";
import { closeAll, connect, nodes } from "./lib.mjs";

const [url] = nodes;
const ops = process.env.OPS;
const { hostname, port } = new URL(url);
const [pid, signals, limit] = ["PID", "SIGNALS", "LIMIT"].map(name => Number(process.env[name]));
const raws = [];
after(() => {
  closeAll();
  for (const raw of raws) raw.destroy();
});

const alive = () => {
  try { return process.kill(pid, 0); } catch { return false; }
};
const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

// Says something on a connection of its own, and resolves with it once the answer has come.
async function say(text, answer) {
  const raw = net.connect({ host: hostname, port });
  raws.push(raw);
  raw.on("error", () => {});
  raw.write(text);
  for (let heard = ""; answer && !heard.includes(answer);) heard += await once(raw, "data");
  return raw;
}

const webSocket = query => `GET /socket.io/?EIO=4&transport=websocket${query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n` +
  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

// A client's text frame, masked with zeros.
const frame = text => Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);

async function poll(query = "", body) {
  const response = await fetch(`${url}/socket.io/?EIO=4&transport=polling${query}`, body ? { method: "POST", body } : {});
  return response.text();
}

// A polling session in the main namespace.
async function session() {
  const sid = JSON.parse((await poll()).slice(1)).sid;
  await poll(`&sid=${sid}`, "40");
  await poll(`&sid=${sid}`);
  return sid;
}

test("stuck clients do not keep the node", async t => {
  const reader = await say(webSocket(""), "0{");
  reader.write(frame("40"));
  await once(reader, "data");
  reader.write(frame('42["join","room:flood"]'));
  reader.pause(); // from here on it reads nothing
  const publisher = await connect(url, "websocket");
  const flood = "x".repeat(512 << 10);
  for (let i = 0; i < 24; i++) publisher.emit("publish", "room:flood", flood);
  await publisher.emitWithAck("echo"); // the node has taken all of them
  const metrics = await (await fetch(`${ops}/metrics`)).text();
  assert.ok(Number(/^carillon_outbox_bytes (.*)$/m.exec(metrics)[1]) > flood.length, "the kernel took all of it");

  await session(); // nobody polls it
  await say(`POST /socket.io/?EIO=4&transport=polling&sid=${await session()} HTTP/1.1\r\nHost: x\r\n` +
    "Expect: 100-continue\r\nContent-Length: 100\r\n\r\n", "100 Continue");
  const upgrading = await say(webSocket(`&sid=${await session()}`), "101");
  upgrading.write(frame("2probe"));
  await once(upgrading, "data"); // 3probe; its 5 never comes
  await say("GET /socket.io/?EIO=4&tra");

  const closed = once(publisher, "disconnect");
  publisher.io.reconnection(false);
  const signalled = performance.now();
  for (let i = 0; i < signals; i++) {
    process.kill(pid, "SIGTERM");
    await pause(200);
  }
  while (alive() && performance.now() - signalled < limit) await pause(20);
  const left = performance.now() - signalled;
  assert.ok(!alive(), `not gone after ${limit} ms`);
  t.diagnostic(`the node left after ${Math.round(left)} ms`);
  const [reason] = await closed;
  assert.equal(reason, "transport close");
});
