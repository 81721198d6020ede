// Node's socket.io with what gateway bench asks of a server: node peer.mjs PORT [REDIS-URL [recovery]]
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import Redis from "ioredis";
import { Server } from "socket.io";

const [port, redis, recovery] = process.argv.slice(2);
const options = { serveClient: false, ...(recovery && { connectionStateRecovery: {} }) };
let publisher;
if (redis) {
  publisher = new Redis(redis, { enableAutoPipelining: true });
  options.adapter = createAdapter(publisher, publisher.duplicate());
}
const http = createServer();
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
