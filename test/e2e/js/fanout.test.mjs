// Six clients, on two nodes and three transports, through a balancer with cookie stickiness.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import parser from "socket.io-msgpack-parser";
import { closeAll, connect, counts, fence, hears, request, transports } from "./lib.mjs";

const proxy = process.env.PROXY;
const members = {};
let outsider;

before(async () => {
  for (const round of ["a", "b"]) {
    for (const transport of Object.keys(transports)) {
      members[`${transport}-${round}`] = await connect(proxy, transport);
    }
  }
  outsider = await connect(proxy);
  await Promise.all(Object.values(members).map(socket => request(socket, "join", "room:six")));
});
after(closeAll);

const everyone = () => [...Object.values(members), outsider];

test("the six are spread over both nodes", async () => {
  const connections = await Promise.all(process.env.OPS.split(",").map(async ops => {
    const text = await (await fetch(`${ops}/metrics`)).text();
    return [...text.matchAll(/^carillon_connections\{.*\} (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
  }));
  assert.equal(connections.reduce((sum, n) => sum + n), 7);
  assert.ok(connections.every(n => n >= 2), `connections: ${connections}`);
});

test("a publish from any member is heard exactly once by all six, and by no outsider", async () => {
  for (const [name, publisher] of Object.entries(members)) {
    const mark = `from-${name}`;
    await request(publisher, "publish", "room:six", mark);
    await fence(id => request(publisher, "publish_all", id), everyone());
    for (const [member, count] of Object.entries(counts({ ...members, outsider }, mark))) {
      assert.equal(count, member === "outsider" ? 0 : 1, `${member} heard ${mark} ${count} times`);
    }
  }
});

test("the sender is excluded where the rule says so", async () => {
  const { "polling-a": publisher } = members;
  await request(publisher, "publish_others", "room:six", "not-to-me");
  await fence(id => request(publisher, "publish_all", id), everyone());
  const heard = counts(members, "not-to-me");
  assert.equal(heard["polling-a"], 0);
  assert.equal(Object.values(heard).reduce((sum, n) => sum + n), 5);
});

const payloads = {
  "binary": Buffer.from([0, 1, 2, 254, 255]),
  "binary inside": { a: [{ deep: Buffer.from("carillon") }, Buffer.alloc(0)], b: Buffer.alloc(3000, 7) },
  "nested objects": { a: { b: { c: [1, [2, [3, { d: null }]]] } }, "": false, "key with \"quotes\"": -1.5e-9 },
  "emoji": "🔔 👩‍👩‍👧‍👦 Ünïcödé \u2028 \u0000 \\ \"",
  "70 kB": "č".repeat(35_000) + "x".repeat(1000),
  "numbers": [0, -1, 1.5, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER, 1e21, 1e-7],
};

for (const [name, payload] of Object.entries(payloads)) {
  test(`${name} survives between all transports and nodes`, async () => {
    for (const [from, publisher] of Object.entries(members)) {
      const mark = `${name}-${from}`;
      await request(publisher, "publish", "room:six", mark, payload);
      for (const [to, socket] of Object.entries(members)) {
        const [, , , received] = await hears(socket, event => event.includes(mark));
        assert.deepEqual(received, payload, `${from} → ${to}`);
      }
    }
  });
  test(`${name} survives in an acknowledgement`, async () => {
    for (const [from, publisher] of Object.entries(members)) {
      assert.deepEqual(await publisher.timeout(10_000).emitWithAck("echo", payload), payload, from);
    }
  });
}

test("a client with the msgpack parser hears the same, and is heard", async () => {
  const packed = await connect(proxy, "upgrade", { parser });
  await request(packed, "join", "room:six");
  const { "polling-a": publisher } = members;
  const payload = { text: "🔔", list: [1, -1.5, null, { deep: Buffer.from([1, 2, 3]) }] };
  await request(publisher, "publish", "room:six", "to-packed", payload);
  assert.deepEqual(await hears(packed, event => event.includes("to-packed")), ["msg", "room:six", "to-packed", payload]);
  await request(packed, "publish", "room:six", "from-packed", payload);
  for (const socket of Object.values(members)) {
    assert.deepEqual(await hears(socket, event => event.includes("from-packed")), ["msg", "room:six", "from-packed", payload]);
  }
  packed.disconnect();
});

test("a reply goes to the sender alone", async () => {
  const { "upgrade-b": socket } = members;
  await request(socket, "greet", "good morning");
  await hears(socket, ([event, id, text]) => event === "welcome" && id === socket.id && text === "good morning");
  assert.equal(Object.values(counts(members, "good morning")).reduce((sum, n) => sum + n), 1);
});

test("who left hears no more", async () => {
  const { "polling-b": leaver, "websocket-a": publisher } = members;
  await request(leaver, "leave", "room:six");
  await request(publisher, "publish", "room:six", "after-leave");
  await fence(id => request(publisher, "publish_all", id), everyone());
  const heard = counts(members, "after-leave");
  assert.equal(heard["polling-b"], 0);
  assert.equal(Object.values(heard).reduce((sum, n) => sum + n), 5);
});
