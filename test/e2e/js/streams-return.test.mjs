// A client cut from one of Node's servers comes back to a gateway, and the other way round, with what it missed.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import Redis from "ioredis";
import { Server } from "socket.io";
import { line } from "./cuts.mjs";
import { closeAll, connect, hears, nodes, request } from "./lib.mjs";
import { endReplacements, replace } from "./rolling.mjs";

const redis = new Redis(process.env.REDIS);
const http = createServer();
const io = new Server(http, { adapter: createAdapter(redis), connectionStateRecovery: { maxDisconnectionDuration: 60_000 } });
const lines = [];
const urls = { gateway: nodes[0] };

before(async () => {
  io.on("connection", socket => {
    socket.on("join", (room, ack) => {
      socket.join(room);
      ack({ ok: true });
    });
  });
  await new Promise(resolve => http.listen(0, "127.0.0.1", resolve));
  urls.node = `http://127.0.0.1:${http.address().port}`;
});
after(async () => {
  closeAll();
  for (const l of lines) l.end();
  await io.close();
  redis.disconnect();
  endReplacements();
});

const other = { gateway: "node", node: "gateway" };

// A client of one server, in a room, which has received an event.
async function arrive(where) {
  const state = { where };
  const l = await line(() => urls[state.where]);
  lines.push(l);
  const socket = await connect(l.url, "websocket", { reconnectionDelay: 50, reconnectionDelayMax: 200 });
  await request(socket, "join", "room:in");
  io.emit("msg", "first");
  await hears(socket, event => event[1] === "first");
  return Object.assign(socket, { line: l, state });
}

const stored = async (socket, matches = () => true) => {
  for (;;) {
    const text = await redis.get(`sio:session:${socket._pid}`);
    if (text && matches(Buffer.from(text, "base64").toString("latin1"))) return;
    await sleep(10);
  }
};

const publish = (mark, id) => {
  io.emit("msg", `${mark} all`);
  io.to("room:in").emit("msg", `${mark} room`);
  io.to("room:out").emit("msg", `${mark} none`);
  io.to(id).emit("msg", `${mark} own`);
};
const expected = mark => [`${mark} all`, `${mark} room`, `${mark} own`];

async function away(socket, mark, leave) {
  const gone = new Promise(resolve => socket.once("disconnect", resolve));
  const { id, _pid: pid } = socket;
  await leave();
  await gone;
  publish(mark, id);
  const back = new Promise(resolve => socket.once("connect", resolve));
  socket.state.where = other[socket.state.where];
  await stored(socket);
  socket.line.mend();
  await back;
  assert.deepEqual([socket.recovered, socket.id, socket._pid], [true, id, pid]);
  await hears(socket, event => event[1] === `${mark} own`);
  publish(`${mark}, live`, id);
  await hears(socket, event => event[1] === `${mark}, live own`);
}

for (const from of ["node", "gateway"]) {
  test(`a client cut from ${from} comes back to ${other[from]}, and again to ${from}`, async () => {
    const socket = await arrive(from);
    for (const mark of ["one", "two"]) {
      await away(socket, mark, () => socket.line.cut(false));
    }
    assert.deepEqual(socket.heard.map(event => event[1]),
      ["first", ...expected("one"), ...expected("one, live"), ...expected("two"), ...expected("two, live")]);
  });
}

test("a client of a gateway that is killed comes back to node", async () => {
  const socket = await arrive("gateway");
  await stored(socket, text => text.includes("room:in"));
  let started;
  await away(socket, "killed", () => {
    started = replace(0, "SIGKILL");
    socket.line.cut(false);
  });
  await started;
  assert.deepEqual(socket.heard.map(event => event[1]), ["first", ...expected("killed"), ...expected("killed, live")]);
});
