// A client sends what is just not too deep, a rule puts more around it, and members on every node get it.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeAll, connect, hears, nodes, request } from "./lib.mjs";

after(closeAll);

test("what a rule wraps reaches the other node", async () => {
  const clients = await Promise.all(nodes.map(node => connect(`${node}/deep`)));
  const levels = 127; // and the list of arguments is one more
  const deep = JSON.parse("[".repeat(levels) + "]".repeat(levels));
  await request(clients[0], "wrap", deep);
  for (const client of clients) {
    const event = await hears(client, ([name]) => name === "wrapped");
    assert.equal(JSON.stringify(event[1]), JSON.stringify({ from: clients[0].id, data: [{ in: [deep] }] }));
  }
});
