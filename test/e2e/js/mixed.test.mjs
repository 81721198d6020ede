// A gateway and Node's own server in one cluster: each hears what the other's clients publish.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeAll, connect, counts, fence, hears, nodes, request } from "./lib.mjs";

const [gateway, reference] = nodes;
const sockets = {};

before(async () => {
  sockets.gateway = await connect(gateway);
  sockets.reference = await connect(reference);
  for (const socket of Object.values(sockets)) await request(socket, "join", "room:mixed");
  sockets.outsider = await connect(gateway);
  sockets.referenceOutsider = await connect(reference);
});
after(closeAll);

const payload = { text: "€ 🔔", list: [1, 2.5, null, { deep: Buffer.from([9, 8, 7]) }], large: "x".repeat(70_000) };

for (const from of ["gateway", "reference"]) {
  test(`what a client of the ${from} publishes to a room is heard once by both members`, async () => {
    const mark = `room-${from}`;
    await request(sockets[from], "publish", "room:mixed", mark, payload);
    await fence(id => request(sockets[from], "publish_all", id), Object.values(sockets));
    assert.deepEqual(counts(sockets, mark), { gateway: 1, reference: 1, outsider: 0, referenceOutsider: 0 });
    for (const to of ["gateway", "reference"]) {
      assert.deepEqual(await hears(sockets[to], event => event.includes(mark)), ["msg", "room:mixed", mark, payload]);
    }
  });

  test(`what a client of the ${from} publishes to one socket reaches that socket`, async () => {
    const to = from === "gateway" ? "reference" : "gateway";
    const mark = `socket-${from}`;
    await request(sockets[from], "publish", sockets[to].id, mark);
    await fence(id => request(sockets[from], "publish_all", id), Object.values(sockets));
    assert.deepEqual(Object.entries(counts(sockets, mark)).filter(([, n]) => n > 0), [[to, 1]]);
  });
}
