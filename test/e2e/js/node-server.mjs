// Node's own server with the classic Redis adapter, or with SHARDED the sharded one in that mode, and with the events of
// policy.yaml that the scenarios use: the reference beside the gateway. Prints the port it listens on.
import { once } from "node:events";
import { createServer } from "node:http";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import Redis from "ioredis";
import { Server } from "socket.io";

const http = createServer();
const publisher = new Redis(process.env.REDIS);
const subscriber = publisher.duplicate({ enableReadyCheck: false }); // INFO is no command of a subscriber
// ioredis loses sharded subscriptions that are made before it is connected.
await Promise.all([once(publisher, "ready"), once(subscriber, "ready")]);
const adapter = process.env.SHARDED
  ? createShardedAdapter(publisher, subscriber, { subscriptionMode: process.env.SHARDED })
  : createAdapter(publisher, subscriber);
const io = new Server(http, { adapter });

for (const name of ["/", "/custom"]) {
  io.of(name).on("connection", socket => {
    const answer = ack => typeof ack === "function" && ack({ ok: true });
    socket.on("join", (room, ack) => { socket.join(room); answer(ack); });
    socket.on("leave", (room, ack) => { socket.leave(room); answer(ack); });
    socket.on("publish", (room, ...args) => {
      const ack = args.pop();
      io.of(name).to(room).emit("msg", room, ...args);
      answer(ack);
    });
    socket.on("publish_all", (...args) => {
      const ack = args.pop();
      io.of(name).emit("msg", ...args);
      answer(ack);
    });
  });
}

await subscriber.ping(); // answered behind the subscriptions of the adapters
http.listen(0, "127.0.0.1", () => console.log(`listening on ${http.address().port}`));
process.on("SIGTERM", () => process.exit(0));
