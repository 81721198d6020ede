// What is not allowed, not known or not well formed gets the official answers, and nothing else suffers.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeAll, connect, nodes, request } from "./lib.mjs";

const [node] = nodes;
const engine = `${node}/socket.io/?EIO=4&transport=polling`;
after(closeAll);

// Answers an event with what the server acknowledged, refusals included.
const ask = (socket, ...event) => socket.timeout(10_000).emitWithAck(...event);

async function handshake() {
  const text = await (await fetch(engine)).text();
  assert.equal(text[0], "0");
  return `${engine}&sid=${JSON.parse(text.slice(1)).sid}`;
}

const post = (url, body) => fetch(url, { method: "POST", body });

async function joined() {
  const url = await handshake();
  assert.equal(await (await post(url, "40")).text(), "ok");
  assert.match(await (await fetch(url)).text(), /^40\{"sid":"[\w-]{20}"\}$/);
  return url;
}

test("an event that a rule denies is acknowledged as denied", async () => {
  const socket = await connect(node);
  assert.deepEqual(await ask(socket, "forbidden"), { ok: false, error: { code: "denied", message: "not for you" } });
});

test("an event that no rule knows is acknowledged as denied", async () => {
  const socket = await connect(node, "polling");
  const { ok, error } = await ask(socket, "nobody-knows", 1);
  assert.equal(ok, false);
  assert.equal(error.code, "denied");
});

test("an expression that fails is acknowledged as invalid", async () => {
  const socket = await connect(node);
  assert.equal((await ask(socket, "join", 7)).error.code, "invalid");
  assert.equal((await ask(socket, "join")).error.code, "invalid");
});

test("the session survives a denied event", async () => {
  const socket = await connect(node);
  await ask(socket, "forbidden");
  assert.equal(await ask(socket, "echo", "still here"), "still here");
});

test("a refused connection says why", async () => {
  const error = await connect(node, "websocket", { auth: { refuse: true } }).catch(error => error);
  assert.ok(error instanceof Error);
  assert.equal(error.data.code, "denied");
  assert.equal(error.data.message, error.message);
});

test("an unknown namespace is an invalid one", async () => {
  const error = await connect(`${node}/nowhere`).catch(error => error);
  assert.equal(error.message, "Invalid namespace");
});

test("a rule can disconnect", async () => {
  const socket = await connect(node);
  const reason = new Promise(resolve => socket.once("disconnect", resolve));
  socket.emit("goodbye");
  assert.equal(await reason, "io server disconnect");
});

test("an unknown session is 400 code 1", async () => {
  const response = await fetch(`${engine}&sid=AAAAAAAAAAAAAAAAAAAA`);
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), { code: 1, message: "Session ID unknown" });
});

test("a body over the limit is 413 and the session survives", async () => {
  const url = await joined();
  assert.equal((await post(url, "4" + "x".repeat(1_000_000))).status, 413);
  assert.equal(await (await post(url, '420["echo","still here"]')).text(), "ok");
  assert.equal(await (await fetch(url)).text(), '430["still here"]');
});

test("a message over the limit closes with 1009", async () => {
  const websocket = new (await import("ws")).default(`${node.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
  const code = new Promise(resolve => websocket.once("close", resolve));
  await new Promise(resolve => websocket.once("message", resolve));
  websocket.send("4" + "x".repeat(1_000_000));
  assert.equal(await code, 1009);
});

for (const body of ["", "abc", "4", "4abc", "42{}", '42["x"', '42["connect"]', "44", "451-[]", '4511-["x"]', "45-1-[]", "b!!!!", "2", "9", "\u0000", "40{", "42[]"]) {
  test(`the malformed packet ${JSON.stringify(body)} ends its session and no other`, async () => {
    const bystander = await connect(node);
    const url = await joined();
    assert.equal((await post(url, body)).status, 200);
    let last;
    do last = await fetch(url); while (last.status === 200); // what is left of the session, then its end
    assert.deepEqual(await last.json(), { code: 1, message: "Session ID unknown" });
    assert.equal(await ask(bystander, "echo", "unhurt"), "unhurt");
    bystander.disconnect();
  });
}

test("a client whose acknowledgement nobody waits for is not hurt", async () => {
  const url = await joined();
  assert.equal(await (await post(url, "4399[1]")).text(), "ok");
  assert.equal(await (await post(url, '420["echo",1]')).text(), "ok");
  assert.equal(await (await fetch(url)).text(), "430[1]");
});

test("clients of protocol revision 3 are told so", async () => {
  const response = await fetch(`${node}/socket.io/?EIO=3&transport=polling`);
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), { code: 5, message: "Unsupported protocol version" });
});

test("an origin that is not ours is refused on both transports", async () => {
  const response = await fetch(engine, { headers: { origin: "https://elsewhere.example" } });
  assert.equal(response.status, 403);
  assert.deepEqual(await response.json(), { code: 4, message: "Forbidden" });
  const error = await connect(node, "websocket", { extraHeaders: { origin: "https://elsewhere.example" } }).catch(error => error);
  assert.ok(error instanceof Error);
});

test("what clients could not do did not harm the node", async () => {
  const socket = await connect(node, "upgrade");
  await request(socket, "join", "room:after");
});
