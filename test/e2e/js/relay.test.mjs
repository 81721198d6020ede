// Behind a balancer that sends each request to the next node, clients of every line connect by polling, upgrade and exchange
// messages, and none of them is disconnected.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeAll, connect, engine } from "./legacy.mjs";

const proxy = process.env.PROXY;
const many = Number(process.env.CLIENTS ?? 60);
after(closeAll);

const lines = ["2.5", "3.1", "4.8"];

test(`${many} clients connect, upgrade and exchange`, async () => {
  const sockets = [];
  const open = [...Array(many).keys()];
  const worker = async () => {
    for (let i = open.pop(); i !== undefined; i = open.pop()) {
      const socket = await connect(lines[i % lines.length], proxy, { transport: "upgrade", headers: {}, forceNew: true });
      socket.drops = [];
      socket.on("disconnect", reason => socket.drops.push(reason));
      sockets.push(socket);
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  for (const socket of sockets) assert.equal(engine(socket).transport.name, "websocket");
  await Promise.all(sockets.map(async (socket, i) => {
    const [answer] = await new Promise(resolve => socket.emit("echo", i, (...args) => resolve(args)));
    assert.equal(answer, i);
  }));
  assert.deepEqual(sockets.flatMap(socket => socket.drops), []);
});

for (const line of lines) {
  test(`${line} by polling alone sends and receives 50 messages in order`, async () => {
    const socket = await connect(line, proxy, { transport: "polling" });
    let drops = 0;
    socket.on("disconnect", () => drops++);
    await new Promise(resolve => socket.emit("join", `room:polling-${line}`, resolve));
    const all = new Promise(resolve => {
      socket.on("msg", () => { if (socket.heard.length === 50) resolve(); });
    });
    for (let i = 0; i < 50; i++) {
      const done = new Promise(resolve => socket.emit("publish", `room:polling-${line}`, i, resolve));
      if (i % 10 === 0) await done; // some alone, most of them together
    }
    await all;
    assert.deepEqual(socket.heard.map(([, n]) => n), [...Array(50).keys()]);
    assert.equal(drops, 0);
  });
}

test("official clients know what an unknown session is", async () => {
  const answer = await fetch(`${proxy}/socket.io/?EIO=4&transport=polling&sid=AAAA0123456789abcdef`);
  assert.equal(answer.status, 400);
  assert.equal(await answer.text(), `{"code":1,"message":"Session ID unknown"}`);
});
