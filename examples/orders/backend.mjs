// The backend of this example with nothing but a Redis client. Start it twice: one works, the other one stands by.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import Redis from "ioredis";

const redis = new Redis(process.env.REDIS ?? "redis://localhost:6379");
const [stream, lease, group, me] = ["carillon:up:{orders.0}", "carillon:lease:{orders.0}:backend", "backend", randomUUID()];
redis.defineCommand("take", { numberOfKeys: 2, lua: readFileSync(new URL("take.lua", import.meta.url), "utf8") });
redis.defineCommand("done", { numberOfKeys: 2, lua: "return redis.call('HGET', KEYS[1], 'holder') == ARGV[1] and redis.call('XACK', KEYS[2], ARGV[2], ARGV[3])" });

// An event for all clients: MessagePack on the channel of the namespace, of which four types are enough here.
const head = (type, n) => { const b = Buffer.alloc(5, type); b.writeInt32BE(n, 1); return b; };
const pack = v => typeof v === "number" ? head(0xd2, v)
  : typeof v === "string" ? Buffer.concat([head(0xdb, Buffer.byteLength(v)), Buffer.from(v)])
  : Array.isArray(v) ? Buffer.concat([head(0xdd, v.length), ...v.map(pack)])
  : Buffer.concat([head(0xdf, Object.keys(v).length), ...Object.entries(v).flat().map(pack)]);
const emit = (...event) => redis.publish("socket.io#/#", pack(["shop", { type: 2, data: event, nsp: "/" }, { rooms: [], except: [], flags: {} }]));

const refuse = (code, message) => ({ ok: false, error: { code, message } });

async function handle({ t, sid, seq, ev, data }) {
  if (t === "connected") await redis.sadd("shop:online", sid);
  if (t === "disconnected") await redis.srem("shop:online", sid);
  if (t !== "event") return emit("online", await redis.scard("shop:online"));
  const [order] = JSON.parse(data);
  if (ev !== "order:new") return refuse("denied", "no such event");
  if (!(order?.quantity > 0)) return refuse("invalid", "how many?");
  const id = `${sid}/orders/${seq}`; // the same when the entry is delivered again, after a crash
  await redis.hset("shop:orders", id, JSON.stringify(order));
  await emit("sold", order.item, await redis.hlen("shop:orders"));
  return { ok: true, id };
}

await redis.xgroup("CREATE", stream, group, "0", "MKSTREAM").catch(() => {}); // it is there
for (let holder = ""; ;) {
  const [now, entries, last] = await redis.take(lease, stream, me, holder, 5_000, group) ?? ["", [], "$"];
  holder = now;
  for (const [id, f] of entries) {
    const entry = Object.fromEntries(f.flatMap((name, i) => i % 2 ? [] : [[name, f[i + 1]]]));
    const answer = await handle(entry);
    if (!await redis.done(lease, stream, holder, group, id)) break; // another process has the lease
    if (entry.ack) await redis.xadd(`carillon:in:{${entry.node}}`, "NOMKSTREAM", "MAXLEN", "~", 10_000, "*", "t", "ack", "a", entry.ack, "data", JSON.stringify([answer]));
  }
  if (entries.length === 0) await redis.xread("COUNT", 1, "BLOCK", 1000, "STREAMS", stream, last); // until there is more
}
