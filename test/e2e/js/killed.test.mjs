// Clients whose connections are cut again and again come back to any of three nodes, of which one after the other is killed and
// started again: all stay the same sockets and receive everything once, in the publisher's order.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import Redis from "ioredis";
import { Server } from "socket.io";
import { line } from "./cuts.mjs";
import { closeAll, connect, hears, nodes, request } from "./lib.mjs";
import { endReplacements, pids, replace } from "./rolling.mjs";

const { KILLS: kills = 4, PERIOD: period = 3000 } = process.env;
const redis = new Redis(process.env.REDIS);
const publisher = new Server({ adapter: createAdapter(redis) });
const lines = [];
let turn = 0;

after(() => {
  closeAll();
  for (const l of lines) l.end();
  publisher.of("/").adapter.close(); // there is no HTTP server to close
  redis.disconnect();
  endReplacements();
});

test("nothing is lost or repeated, and every return is recovered", async t => {
  const sockets = [];
  let recovered = 0, lost = 0;
  for (let i = 0; i < 12; i++) {
    lines.push(await line(() => nodes[turn++ % nodes.length]));
    const socket = await connect(lines[i].url, "websocket", { reconnectionDelay: 50, reconnectionDelayMax: 200 });
    socket.on("connect", () => socket.recovered ? recovered++ : lost++);
    await request(socket, "join", "room:a");
    sockets.push(socket);
  }
  for (const { _pid: pid } of sockets) {
    while (!Buffer.from(await redis.get(`sio:session:${pid}`) ?? "", "base64").includes("room:a")) await sleep(20);
  }

  let published = 0, done = false;
  const publishing = setInterval(() => {
    const n = published++;
    (n % 2 ? publisher.to("room:a") : publisher).emit("msg", n);
  }, 20);
  const killing = (async () => {
    for (let i = 0; i < kills; i++) {
      const next = sleep(Number(period));
      await replace(i % pids.length, "SIGKILL");
      await next;
    }
  })().finally(() => done = true);
  for (let n = 0; !done; n++) {
    const l = lines[n % lines.length];
    l.cut(n % 2 === 1);
    await sleep(150);
    l.mend();
  }
  await killing;
  clearInterval(publishing);
  publisher.emit("end");
  await Promise.all(sockets.map(socket => hears(socket, event => event[0] === "end")));
  t.diagnostic(`${kills} kills, ${published} messages to ${sockets.length} clients, ${recovered} returns recovered, ${lost} not`);
  for (const [i, socket] of sockets.entries()) {
    const heard = socket.heard.filter(event => event[0] === "msg").map(event => event[1]);
    const missing = [...Array(published).keys()].filter(n => !heard.includes(n));
    assert.deepEqual(missing, [], `client ${i} missed some`);
    assert.deepEqual(heard, [...Array(published).keys()], `client ${i}`);
  }
  assert.equal(lost, 0);
});
