// Node's socket.io with what gateway bench asks of a server: node peer.mjs PORT [REDIS-URL]
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import Redis from "ioredis";
import { Server } from "socket.io";

const [port, redis] = process.argv.slice(2);
const options = { serveClient: false };
if (redis) {
  const publisher = new Redis(redis);
  options.adapter = createAdapter(publisher, publisher.duplicate());
}
const http = createServer();
const io = new Server(http, options);
io.on("connection", socket => {
  socket.on("join", (room, ack) => { socket.join(room); ack?.("ok"); });
  socket.on("echo", (payload, ack) => ack?.(payload));
  socket.on("publish", (room, payload) => io.to(room).emit("msg", payload));
  socket.on("publishAll", payload => io.emit("msg", payload));
});
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
