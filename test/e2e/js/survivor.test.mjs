// One of two nodes dies without a word: its clients come back on the other, which never stopped serving.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeAll, connect, fence, hears, request } from "./lib.mjs";

const { PROXY: proxy, PIDS: pids } = process.env;
after(closeAll);

test("killing one node leaves the other serving", async () => {
  const sockets = [];
  for (let i = 0; i < 6; i++) sockets.push(await connect(proxy, ["polling", "websocket", "upgrade"][i % 3]));
  for (const socket of sockets) {
    socket.drops = 0;
    socket.on("disconnect", () => socket.drops++);
    await request(socket, "join", "room:survivors");
  }
  const left = sockets.map(socket => ({ socket, id: socket.id }));

  process.kill(Number(pids.split(",")[0]), "SIGKILL");
  await Promise.race(sockets.map(socket => new Promise(resolve => socket.once("disconnect", resolve))));
  await Promise.all(sockets.map(socket => socket.connected || new Promise(resolve => socket.once("connect", resolve))));

  const lost = left.filter(({ socket, id }) => socket.id !== id);
  assert.ok(lost.length > 0 && lost.length < sockets.length, `${lost.length} of ${sockets.length} were on the node that died`);
  for (const { socket } of lost) await request(socket, "join", "room:survivors");
  const [{ socket: publisher }] = lost;
  await request(publisher, "publish", "room:survivors", "we are back");
  await fence(id => request(publisher, "publish_all", id), sockets);
  for (const socket of sockets) {
    await hears(socket, event => event.includes("we are back"));
    assert.equal(socket.heard.filter(event => event.includes("we are back")).length, 1);
  }
});
