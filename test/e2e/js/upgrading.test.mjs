// A node is drained while clients of every line connect and upgrade, behind a balancer that is not sticky: each client ends up
// connected, and but for a few none needs its heartbeat to notice. The few are on a busy machine: an official client that loses its
// session in the middle of an upgrade has stopped polling and learns of it from nothing else.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { client, closeAll, next } from "./legacy.mjs";

const { PROXY: proxy, PID: pid } = process.env;
const lines = ["2.5", "3.1", "4.8"];
const many = 150;
after(closeAll);

const alive = () => {
  try { return process.kill(Number(pid), 0); } catch { return false; }
};

// An acknowledged event, however often the client has to connect for it.
async function settled(socket) {
  for (;;) {
    if (!socket.connected) await next(socket, "connect");
    const answer = new Promise(resolve => socket.emit("echo", 1, () => resolve(true)));
    if (await Promise.race([answer, next(socket, "disconnect").then(() => false)])) return;
  }
}

test("clients that are upgrading when their node, or one on their way, leaves", async () => {
  let connected = 0, late = 0;
  const sockets = [...Array(many).keys()].map(i => {
    const socket = client(lines[i % lines.length], proxy, {
      transport: "upgrade", headers: {}, reconnectionDelay: 100, reconnectionDelayMax: 500,
    });
    socket.on("disconnect", reason => reason === "ping timeout" && late++);
    socket.on("connect", () => {
      if (++connected === many / 5) process.kill(Number(pid), "SIGTERM");
    });
    return socket;
  });
  await Promise.all(sockets.map(settled));
  while (alive()) await new Promise(resolve => setTimeout(resolve, 50)); // until the drain is over
  await Promise.all(sockets.map(settled));
  assert.ok(connected > many, "no client was moved");
  assert.ok(late <= many / 20, `${late} of ${many} clients noticed by their heartbeat alone`);
});
