// examples/chat with the official client: the token of /login, its cookie, rooms, and a private message with its receipt.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeAll, connect, hears, nodes, request } from "./lib.mjs";

const [url] = nodes;
after(closeAll);

async function login(name) {
  const answer = await fetch(`${url}/login`, { method: "POST", body: JSON.stringify({ name }) });
  assert.equal(answer.status, 200);
  return { ...(await answer.json()), cookie: answer.headers.get("set-cookie").split(";")[0] };
}

test("a chat", async () => {
  await assert.rejects(connect(url), { message: "log in first" });
  const ada = await connect(url, "upgrade", { auth: await login("ada") });
  const { cookie } = await login("bob");
  const bob = await connect(url, "websocket", { extraHeaders: { cookie } }); // as a page of the same site does
  await hears(ada, ([event, count]) => event === "online" && count === 2);

  await request(ada, "enter", "tea");
  await request(bob, "enter", "tea");
  await request(ada, "message", "tea", "hello");
  assert.deepEqual(await hears(bob, ([event]) => event === "message"), ["message", "tea", "ada", "hello"]);

  bob.on("private", (from, to, text, received) => received());
  assert.deepEqual(await request(ada, "private", "bob", "psst"), { ok: true });
  const silent = await connect(url, "polling", { auth: await login("eve") }); // acknowledges nothing
  const late = await ada.emitWithAck("private", "eve", "psst");
  assert.match(late.error, /eve does not answer/);
  silent.disconnect();
  await hears(ada, ([event, count]) => event === "online" && count === 2);
  bob.disconnect();
  assert.deepEqual(await hears(ada, ([event]) => event === "left"), ["left", "tea", "bob"]);
});
