// Tokens with the official client: what it is told, and what it does by itself.
import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { Emitter } from "@socket.io/redis-emitter";
import Redis from "ioredis";
import { io } from "socket.io-client";
import { closeAll, connect, nodes, request, transports } from "./lib.mjs";

const [node, late] = nodes;
const { KEYS: file, FIRST: first, AWAY: away, REDIS: redis } = process.env;
after(closeAll);

// The issuer: keys by id, published as a key set. The first one is published before the gateway starts.
const keys = { first: { privateKey: createPrivateKey(first), publicKey: createPublicKey(first) } };
const newKey = kid => keys[kid] = generateKeyPairSync("ec", { namedCurve: "P-256" });
const jwks = kids => JSON.stringify({ keys: kids.map(kid => ({ ...keys[kid].publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "ES256" })) });
function publish(...kids) {
  writeFileSync(`${file}.new`, jwks(kids));
  renameSync(`${file}.new`, file); // never half a set
}

const encode = value => Buffer.from(JSON.stringify(value)).toString("base64url");
const now = () => Math.floor(Date.now() / 1000);
function token(claims, kid = "first") {
  const text = `${encode({ alg: "ES256", kid })}.${encode({ iss: "https://id.example", aud: ["account", "chat"], exp: now() + 3600, ...claims })}`;
  return `${text}.${sign("sha256", Buffer.from(text), { key: keys[kid].privateKey, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

const withToken = text => ({ auth: { token: text } });
const event = (emitter, name) => new Promise(resolve => emitter.once(name, resolve));

for (const transport of Object.keys(transports)) {
  test(`a token lets in over ${transport}, and rules see its claims`, async () => {
    const socket = await connect(node, transport, withToken(token({ sub: "ada", level: 1 })));
    const claims = await request(socket, "who");
    assert.equal(claims.sub, "ada");
    assert.equal(claims.level, 1);
    assert.equal(await request(socket, "in", "user:ada"), true);
  });

  test(`without a valid token the client is told so over ${transport}, once`, async () => {
    const forged = token({ sub: "ada" }).replace(/.{8}$/, "AAAAAAAA");
    for (const [auth, code] of [[{}, "token_missing"], [{ token: forged }, "token_invalid"], [{ token: token({ sub: "ada", exp: now() - 1 }) }, "token_expired"],
      [{ token: token({ sub: "ada", aud: "other" }) }, "token_invalid"]]) {
      const error = await connect(node, transport, { auth }).then(() => assert.fail("let in"), error => error);
      assert.deepEqual(error.data, { code, message: error.message });
    }
  });
}

test("at exp the server disconnects; the application connects again with a new token", async () => {
  const lifetimes = [2, 3600];
  const socket = await connect(node, "websocket", { auth: reply => reply({ token: token({ sub: "ada", exp: now() + lifetimes.shift() }) }) });
  const first = socket.id;
  assert.equal(await event(socket, "disconnect"), "io server disconnect");
  assert.equal(socket.active, false, "the client would come back by itself, with the old token");
  socket.connect();
  await event(socket, "connect");
  assert.notEqual(socket.id, first);
});

test("auth:refresh renews the token of a socket, which keeps its rooms", async () => {
  const exp = now() + 3;
  const socket = await connect(node, "upgrade", withToken(token({ sub: "ada", exp })));
  const control = await connect(node, "websocket", withToken(token({ sub: "bob", exp })));
  const { id } = socket;
  assert.deepEqual(await socket.emitWithAck("auth:refresh", token({ sub: "bob" })),
    { ok: false, error: { code: "token_invalid", message: "the token is not of the same subject" } });
  assert.deepEqual(await socket.emitWithAck("auth:refresh", token({ sub: "ada", level: 2 })), { ok: true });
  await event(control, "disconnect"); // so the first token has expired
  assert.equal((await request(socket, "who")).level, 2);
  assert.equal(await request(socket, "in", "user:ada"), true);
  assert.equal(socket.id, id);
});

test("a key that is published later lets in, one that is withdrawn serves until the set is fetched again", async () => {
  newKey("second");
  publish("first", "second");
  const socket = await connect(node, "websocket", withToken(token({ sub: "ada" }, "second")));
  assert.equal((await request(socket, "who")).sub, "ada");
  await connect(node, "polling", withToken(token({ sub: "ada" })));
});

test("a token is revoked by disconnecting its room, wherever its sockets are", async () => {
  const client = new Redis(redis);
  const [kept, one, two] = await Promise.all([["a", "websocket"], ["b", "websocket"], ["b", "polling"]].map(([jti, transport]) =>
    connect(node, transport, withToken(token({ sub: "ada", jti })))));
  const gone = [event(one, "disconnect"), event(two, "disconnect")];
  new Emitter(client).in("token:b").disconnectSockets();
  assert.deepEqual(await Promise.all(gone), ["io server disconnect", "io server disconnect"]);
  assert.equal(await request(kept, "in", "token:a"), true);
  await client.quit();
});

test("while keys cannot be fetched clients try again, and get in once they can", async () => {
  const sockets = Object.entries(transports).map(([, options]) =>
    io(late, { forceNew: true, reconnectionDelay: 200, reconnectionDelayMax: 1000, ...options, ...withToken(token({ sub: "ada" }, "second")) }));
  const refusals = [];
  for (const socket of sockets) socket.on("connect_error", error => error.data && refusals.push(error.data));
  const connected = sockets.map(socket => event(socket, "connect"));
  // Each has been sent away at least twice.
  await Promise.all(sockets.map(async socket => {
    await event(socket.io, "reconnect_attempt");
    await event(socket.io, "reconnect_attempt");
  }));
  assert.ok(sockets.every(socket => !socket.connected && socket.active));
  const [host, port] = away.split(":");
  const issuer = createServer((_, answer) => answer.setHeader("Content-Type", "application/json").end(jwks(["second"])));
  await new Promise(resolve => issuer.listen(port, host, resolve));
  await Promise.all(connected);
  assert.deepEqual(refusals, [], "a client that is refused does not come back");
  for (const socket of sockets) socket.disconnect();
  issuer.close();
});
