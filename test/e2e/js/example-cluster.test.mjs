// examples/cluster with official clients on two processes: presence, rooms managed from any process, events between them.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeAll, connect, hears, nodes } from "./lib.mjs";

after(closeAll);
const post = async (node, path) => assert.equal((await fetch(nodes[node] + path, { method: "POST" })).status, 200);
const join = (node, user) => connect(nodes[node], "websocket", { auth: { user } });
const event = (name, ...args) => heard => JSON.stringify(heard) === JSON.stringify([name, ...args]);

// The processes learn of each other within a heartbeat: until then a question reaches one of them only.
async function until(question, answer) {
  for (;;) {
    const got = await question();
    if (JSON.stringify(got) === JSON.stringify(answer)) return;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

test("two processes are one", async () => {
  const ada = await join(0, "ada");
  const bob = await join(1, "bob");
  await until(() => ada.emitWithAck("who"), ["ada", "bob"]);
  await until(() => bob.emitWithAck("who"), ["ada", "bob"]);
  await until(async () => Object.values(await (await fetch(`${nodes[0]}/nodes`)).json()), [1, 1]);

  for (let i = 0; i < 5; i++) { // joined and spoken to at once, from the other process
    const user = `user${i}`;
    const socket = await join(0, user);
    await post(1, `/promote?user=${user}`);
    await hears(socket, event("promoted", user));
    socket.disconnect();
    await hears(bob, event("offline", user));
  }

  await post(0, "/maintenance?message=soon");
  const here = nodes.map(url => new URL(url).host);
  await hears(ada, event("maintenance", here[0], "soon"));
  await hears(bob, event("maintenance", here[1], "soon"));

  const tab = await join(1, "ada");
  await hears(bob, event("online", "ada"));
  tab.disconnect();
  await until(() => bob.emitWithAck("who"), ["ada", "bob"]);
  ada.disconnect();
  await hears(bob, event("offline", "ada"));
});
