// Official clients that know recovery come back as who they were, with what they missed; others are unharmed.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { io as io48 } from "socket.io-client";
import { io as io45 } from "socket.io-client-45";
import { io as io46 } from "socket.io-client-46";
import { line } from "./cuts.mjs";
import { hears, nodes, transports } from "./lib.mjs";

const require = createRequire(import.meta.url);
const old = { "2.5": require("socket.io-client-25"), "3.1": require("socket.io-client-3").io, "4.5": io45 };
const knowing = { 4.6: io46, 4.8: io48 };
const [node] = nodes;
const redis = new Redis(process.env.REDIS);
const emitter = new Emitter(redis);
const lines = [], sockets = [];

after(() => {
  for (const socket of sockets) socket.disconnect();
  for (const l of lines) l.end();
  redis.disconnect();
});

// A client behind a line of its own, which keeps what it hears.
async function arrive(io, { transport = "websocket", ...options } = {}) {
  const l = await line(node);
  lines.push(l);
  const socket = io(l.url, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200, ...transports[transport], ...options });
  sockets.push(socket);
  Object.assign(socket, { line: l, heard: [], waiters: new Set(), connects: 0, recoveries: 0 });
  for (const name of ["msg", "welcome", "typing", "fence"]) {
    socket.on(name, (...args) => {
      socket.heard.push([name, ...args]);
      for (const check of socket.waiters) check();
    });
  }
  socket.on("connect", () => {
    socket.connects++;
    if (socket.recovered) socket.recoveries++;
  });
  await new Promise(resolve => socket.once("connect", resolve));
  return socket;
}

const next = (socket, event) => new Promise(resolve => socket.once(event, resolve));

async function cut(socket, halfOpen) {
  const gone = next(socket, "disconnect");
  socket.line.cut(halfOpen);
  await gone;
}

async function back(socket) {
  const connected = next(socket, "connect");
  socket.line.mend();
  await connected;
}

// What was published before has arrived everywhere, or never will.
let fences = 0;
async function fence(...list) {
  const name = fences++;
  emitter.emit("fence", name);
  await Promise.all(list.map(socket => hears(socket, e => e[0] === "fence" && e[1] === name)));
}

async function absent() {
  const metrics = await (await fetch(`${process.env.OPS}/metrics`)).text();
  return Number(/^carillon_recovery_absent_sockets (\d+)$/m.exec(metrics)[1]);
}

const told = socket => socket.heard.filter(e => e[0] !== "fence").map(e => e[1]);

for (const [version, io] of Object.entries(knowing)) {
  for (const halfOpen of [false, true]) {
    for (const transport of ["websocket", "polling", "upgrade"]) {
      test(`${version} over ${transport} comes back with what it missed${halfOpen ? ", half-open" : ""}`, async () => {
        const room = `room:${version}${halfOpen}${transport}`;
        const socket = await arrive(io, { transport });
        const { id } = socket;
        await new Promise(done => socket.emit("join", room, done));
        emitter.to(room).emit("msg", 1);
        await fence(socket);
        await cut(socket, halfOpen);
        emitter.to(room).emit("msg", 2);
        emitter.to("room:elsewhere").emit("msg", "not for it");
        emitter.in(id).socketsJoin("room:while away");
        await socketsMoved();
        emitter.to("room:while away").emit("msg", 3);
        emitter.in(id).socketsLeave("room:while away");
        await socketsMoved();
        emitter.to("room:while away").emit("msg", "left");
        emitter.volatile.emit("msg", "volatile");
        emitter.to(id).emit("msg", 4);
        await back(socket);
        assert.equal(socket.recovered, true);
        assert.equal(socket.id, id);
        emitter.to(room).emit("msg", 5);
        await fence(socket);
        // A half-open connection may have been alive for the volatile one, which then went into it and is lost all the same.
        assert.deepEqual(told(socket), [1, 2, 3, 4, 5]);
      });
    }
  }

  test(`${version}: one cut before its first event, and while it catches up`, async () => {
    const socket = await arrive(io);
    for (let round = 0; round < 5; round++) {
      await cut(socket, round % 2 === 1);
      for (let i = 0; i < 20; i++) emitter.emit("msg", `${version} ${round} ${i}`);
      const connected = next(socket, "connect");
      socket.line.mend();
      await connected;
      if (round % 2 === 0) await cut(socket, false);
      else await fence(socket);
      if (!socket.connected) await back(socket);
    }
    await fence(socket);
    const mine = told(socket).filter(text => String(text).startsWith(`${version} `));
    const all = [];
    for (let round = 0; round < 5; round++) for (let i = 0; i < 20; i++) all.push(`${version} ${round} ${i}`);
    assert.deepEqual(mine, all);
    assert.equal(socket.recoveries, socket.connects - 1);
  });

  test(`${version}: a volatile event that ends with a text spoils nothing`, async () => {
    const socket = await arrive(io), other = await arrive(io);
    await new Promise(done => socket.emit("join", "room:typing", done));
    await new Promise(done => other.emit("join", "room:typing", done));
    emitter.to("room:typing").emit("msg", 1);
    await fence(socket);
    other.emit("typing", "room:typing");
    await hears(socket, e => e[0] === "typing" && e[1] === other.id);
    await cut(socket, false);
    emitter.to("room:typing").emit("msg", 2);
    await back(socket);
    assert.equal(socket.recovered, true);
    await hears(socket, e => e[1] === 2);
  });

  test(`${version}: disconnected while it is away`, async () => {
    const socket = await arrive(io);
    const { id } = socket;
    const before = await absent();
    await cut(socket, false);
    // A command that comes before the server has noticed the cut is sent to the broken connection.
    while (await absent() <= before) await sleep(20);
    emitter.in(id).disconnectSockets();
    await socketsMoved();
    const reason = next(socket, "disconnect");
    await back(socket);
    assert.equal(socket.recovered, false);
    assert.equal(await reason, "io server disconnect");
    socket.connect();
    await next(socket, "connect");
    assert.equal(socket.recovered, false);
  });
}

for (const [version, io] of Object.entries(old)) {
  test(`${version} knows nothing of it and is unharmed`, async () => {
    const socket = await arrive(io);
    const { id } = socket;
    emitter.emit("msg", `for ${version}`, { a: 1 });
    const [, , second, ...more] = await hears(socket, e => e[1] === `for ${version}`);
    assert.deepEqual(second, { a: 1 });
    assert.equal(more.length, version.startsWith("2.") ? 0 : 1);
    await cut(socket, false);
    await back(socket);
    assert.notEqual(socket.id, id);
    await new Promise(done => socket.emit("join", "room:old", done));
    emitter.to("room:old").emit("msg", `again for ${version}`);
    await hears(socket, e => e[1] === `again for ${version}`);
  });
}

// Commands of an emitter have been done once an event behind them has arrived.
let witness;
async function socketsMoved() {
  witness ??= arrive(io48);
  await fence(await witness);
}

for (const halfOpen of [false, true]) {
  test(`forty clients, each cut again and again${halfOpen ? ", half-open" : ""}: all arrives, once, in order`, async () => {
    const events = 20, every = 500, cutEvery = 4000, cutFor = 1000;
    const ways = ["websocket", "websocket", "upgrade", "polling"];
    const all = await Promise.all(Array.from({ length: 40 }, (_, i) =>
      arrive(i % 2 ? io46 : io48, { transport: ways[(i >> 1) % ways.length] })));
    const first = all.map(socket => socket.id);
    let cutting = true;
    const cuts = all.map(async (socket, i) => {
      await sleep((i / all.length) * cutEvery);
      while (cutting) {
        socket.line.cut(halfOpen);
        await sleep(cutFor);
        socket.line.mend();
        await sleep(cutEvery - cutFor);
      }
    });
    for (let n = 0; n < events; n++) {
      emitter.emit("msg", n);
      await sleep(every);
    }
    cutting = false;
    await Promise.all(cuts);
    await fence(...all);
    for (const [i, socket] of all.entries()) {
      assert.deepEqual(told(socket), Array.from({ length: events }, (_, n) => n), `client ${i}`);
      assert.equal(socket.id, first[i]);
      assert.equal(socket.recoveries, socket.connects - 1);
      assert.ok(socket.connects > 1);
    }
  });
}
