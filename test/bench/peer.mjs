// Node's socket.io with what gateway bench asks of a server: node peer.mjs '{"port": 3000, ...}'. Options beside the port:
// redis (a URL), adapter (sharded or streams, else classic), recovery, deflate, cert and key (files).
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import Redis from "ioredis";
import { Server } from "socket.io";

const { port, redis, adapter, recovery, deflate, cert, key } = JSON.parse(process.argv[2]);
const options = { serveClient: false };
if (recovery) options.connectionStateRecovery = {};
if (deflate) options.perMessageDeflate = { threshold: 1024, serverNoContextTakeover: true, clientNoContextTakeover: true };
let publisher;
if (redis) {
  publisher = new Redis(redis, { enableAutoPipelining: true });
  const make = { sharded: createShardedAdapter, streams: createStreamsAdapter }[adapter] ?? createAdapter;
  options.adapter = adapter === "streams" ? make(publisher) : make(publisher, publisher.duplicate());
}
const http = cert ? createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) }) : createServer();
const io = new Server(http, options);
io.on("connection", socket => {
  socket.on("join", (room, ack) => { socket.join(room); ack?.("ok"); });
  socket.on("echo", (payload, ack) => ack?.(payload));
  socket.on("publish", (room, payload) => io.to(room).emit("msg", payload));
  let seq = 0;
  socket.on("forward", async (...args) => {
    const ack = args.pop();
    const id = await publisher.xadd("bench", "*", "v", 1, "t", "event", "nsp", socket.nsp.name, "sid", socket.id, "seq", ++seq,
      "node", process.pid, "ts", Date.now(), "ev", "forward", "data", JSON.stringify(args));
    ack({ ok: true, id });
  });
  socket.on("publishAll", payload => io.emit("msg", payload));
});
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
