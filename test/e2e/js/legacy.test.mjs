// Clients of 2.x, 3.x and 4.x in one room, on every transport, over two nodes behind a balancer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ask, client, clients, closeAll, connect, engine, hears, isOld, next, plain } from "./legacy.mjs";

const proxy = process.env.PROXY;
const old = Object.keys(clients).filter(isOld);
const members = {};

before(async () => {
  let node = 0;
  for (const version of Object.keys(clients)) {
    for (const transport of ["polling", "websocket", "upgrade"]) {
      const member = members[`${version} ${transport}`] = await connect(version, proxy, { node: node++ % 2, transport });
      assert.equal(engine(member).transport.name, transport === "polling" ? "polling" : "websocket");
      assert.deepEqual(await ask(member, "join", "room:legacy"), [{ ok: true }]);
      if (!isOld(version)) continue;
      member.pongs = 0;
      member.on("pong", () => member.pongs++);
      member.on("disconnect", () => member.lost = true);
    }
  }
});
after(closeAll);

const payloads = {
  "text": "🔔 👩‍👩‍👧‍👦 Ünïcödé \u2028 \\n \n \u0000 \"",
  "binary": Buffer.from([0, 1, 2, 254, 255]),
  "binary inside": { a: [{ deep: Buffer.from("carillon") }, Buffer.alloc(0)], b: Buffer.alloc(3000, 7), c: "€" },
  "70 kB": "č".repeat(35_000) + "😀".repeat(250),
};

for (const [name, payload] of Object.entries(payloads)) {
  test(`${name} from each member is heard exactly once by all`, async () => {
    for (const [from, publisher] of Object.entries(members)) {
      const mark = `${name} from ${from}`, fence = `${mark}, heard`;
      await ask(publisher, "publish", "room:legacy", mark, payload);
      await ask(publisher, "publish", "room:legacy", fence);
      for (const [to, socket] of Object.entries(members)) {
        await hears(socket, fence);
        const heard = socket.heard.filter(args => args.includes(mark));
        assert.equal(heard.length, 1, `${from} → ${to}`);
        assert.deepEqual(plain(heard[0][2]), payload, `${from} → ${to}`);
      }
    }
  });
  test(`${name} survives in an acknowledgement`, async () => {
    for (const [from, socket] of Object.entries(members)) {
      assert.deepEqual(plain(await ask(socket, "echo", payload)), [payload], from);
    }
  });
}

test("a refused event is acknowledged as such", async () => {
  for (const socket of Object.values(members)) {
    assert.deepEqual(await ask(socket, "forbidden"), [{ ok: false, error: { code: "denied", message: "not for you" } }]);
  }
});

test("each client knows its own id", async () => {
  for (const [name, socket] of Object.entries(members)) {
    const welcome = next(socket, "welcome");
    socket.emit("greet", "hello");
    assert.equal(await welcome, socket.id, name);
    if (isOld(name)) assert.equal(socket.id, engine(socket).id, name);
  }
});

for (const version of old) {
  for (const transport of ["polling", "websocket", "upgrade"]) {
    test(`${version} ${transport}: the query of a namespace lets in`, async () => {
      const socket = await connect(version, `${proxy}/members?token=letme%20in`, { transport });
      assert.equal(socket.id, `/members#${engine(socket).id}`);
      const welcome = next(socket, "welcome");
      socket.emit("greet");
      assert.equal(await welcome, socket.id);
      assert.deepEqual(plain(await ask(socket, "echo", Buffer.from("bytes"), 2)), [Buffer.from("bytes"), 2]);
      socket.disconnect();
    });
    test(`${version} ${transport}: a refused namespace says why and leaves the connection`, async () => {
      const main = await connect(version, proxy, { transport });
      const refused = main.io.socket("/members", { query: "token=wrong" });
      assert.deepEqual(await next(refused, "error"), { code: "denied", message: "not allowed" });
      const unknown = main.io.socket("/nowhere");
      assert.deepEqual(await next(unknown, "error"), { message: "Invalid namespace" });
      assert.deepEqual(await ask(main, "echo", "still here"), ["still here"]);
      main.disconnect();
    });
  }
  test(`${version}: leaving one namespace leaves the others`, async () => {
    const main = await connect(version, proxy);
    const custom = main.io.socket("/custom");
    await next(custom, "connect");
    main.disconnect();
    assert.deepEqual(await ask(custom, "join", "room:elsewhere"), [{ ok: true }]);
    const gone = next(custom, "disconnect");
    custom.disconnect();
    assert.equal(await gone, "io client disconnect");
  });
  test(`${version}: being disconnected by a rule`, async () => {
    const socket = await connect(version, proxy, { reconnection: false });
    const gone = next(socket, "disconnect");
    socket.emit("goodbye");
    assert.equal(await gone, "io server disconnect");
  });
}

test("3.1: authentication goes with the connection", async () => {
  const socket = client("3.1", `${proxy}/members`, { auth: { token: "wrong" } });
  const error = await next(socket, "connect_error");
  assert.equal(error.message, "not allowed");
  assert.deepEqual(error.data, { code: "denied", message: "not allowed" });
  socket.disconnect();
  const member = await connect("3.1", `${proxy}/members`, { auth: { token: "letme in" } });
  assert.match(member.id, /^[\w-]{20}$/);
});

// The node lets a client be silent for 12 s, and a client pings every 2 s.
test("2.x clients outlive the heartbeat's limits by their own pings", async () => {
  const old = Object.entries(members).filter(([name]) => isOld(name)).map(([, socket]) => socket);
  await Promise.all(old.map(async socket => {
    while (socket.pongs < 7) await next(socket, "pong");
  }));
  assert.ok(old.every(socket => socket.connected && !socket.lost));
});
