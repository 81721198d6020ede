// Clients whose connections are cut again and again come back to any of three nodes, which are replaced one after the other
// meanwhile: all stay the same sockets and receive everything once, in order.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { line } from "./cuts.mjs";
import { closeAll, connect, hears, nodes } from "./lib.mjs";
import { endReplacements, pids, replace } from "./rolling.mjs";

const redis = new Redis(process.env.REDIS);
const emitter = new Emitter(redis);
const lines = [];
let turn = 0;

after(() => {
  closeAll();
  for (const l of lines) l.end();
  redis.disconnect();
  endReplacements();
});

test("nothing is lost or repeated, and every return is recovered", async () => {
  const sockets = [];
  let lost = 0;
  for (let i = 0; i < 12; i++) {
    lines.push(await line(() => nodes[turn++ % nodes.length]));
    const socket = await connect(lines[i].url, "websocket", { reconnectionDelay: 50, reconnectionDelayMax: 200 });
    socket.on("connect", () => { if (!socket.recovered) lost++; });
    sockets.push(socket);
  }
  let published = 0, rolled = false;
  const publishing = setInterval(() => emitter.emit("msg", published++), 50);
  const rolling = (async () => {
    for (const i of pids.keys()) await replace(i);
    rolled = true;
  })();
  for (let n = 0; !rolled; n++) {
    const l = lines[n % lines.length];
    l.cut(n % 2 === 1);
    await sleep(150);
    l.mend();
  }
  await rolling;
  clearInterval(publishing);
  emitter.emit("end");
  await Promise.all(sockets.map(socket => hears(socket, event => event[0] === "end")));
  assert.equal(lost, 0, "returns as another socket"); // first: a hole in what such a client received would follow from it
  for (const socket of sockets) {
    assert.deepEqual(socket.heard.filter(event => event[0] === "msg").map(event => event[1]), [...Array(published).keys()]);
  }
});
