"""The backend of this example with nothing but a Redis client. Start it twice: one works, the other one stands by."""
import json, os, pathlib, struct, uuid
import redis

r = redis.Redis.from_url(os.environ.get("REDIS", "redis://localhost:6379"), decode_responses=True, protocol=2)
stream, lease, group, me = "carillon:up:{orders.0}", "carillon:lease:{orders.0}:backend", "backend", uuid.uuid4().hex
take = r.register_script(pathlib.Path(__file__).with_name("take.lua").read_text())
done = r.register_script("return redis.call('HGET', KEYS[1], 'holder') == ARGV[1] and redis.call('XACK', KEYS[2], ARGV[2], ARGV[3])")

def pack(v):  # MessagePack, of which four types are enough here
    if isinstance(v, int):
        return struct.pack(">Bi", 0xD2, v)
    if isinstance(v, str):
        return struct.pack(">BI", 0xDB, len(v.encode())) + v.encode()
    if isinstance(v, list):
        return struct.pack(">BI", 0xDD, len(v)) + b"".join(map(pack, v))
    return struct.pack(">BI", 0xDF, len(v)) + b"".join(pack(k) + pack(x) for k, x in v.items())

def emit(*event):  # to all clients
    r.publish("socket.io#/#", pack(["shop", {"type": 2, "data": list(event), "nsp": "/"}, {"rooms": [], "except": [], "flags": {}}]))

def refuse(code, message):
    return {"ok": False, "error": {"code": code, "message": message}}

def handle(e):
    if e["t"] != "event":
        (r.sadd if e["t"] == "connected" else r.srem)("shop:online", e["sid"])
        return emit("online", r.scard("shop:online"))
    if e["ev"] != "order:new":
        return refuse("denied", "no such event")
    order = next(iter(json.loads(e["data"])), None)
    if not isinstance(order, dict) or not order.get("quantity", 0) > 0:
        return refuse("invalid", "how many?")
    key = f"{e['sid']}/orders/{e['seq']}"  # the same when the entry is delivered again, after a crash
    r.hset("shop:orders", key, json.dumps(order))
    emit("sold", order["item"], r.hlen("shop:orders"))
    return {"ok": True, "id": key}

try:
    r.xgroup_create(stream, group, id="0", mkstream=True)
except redis.ResponseError:
    pass  # it is there
holder = ""
while True:
    holder, entries, last = take([lease, stream], [me, holder, 5_000, group]) or ["", [], "$"]
    for id, fields in entries:
        e = dict(zip(fields[::2], fields[1::2]))
        answer = handle(e)
        if not done([lease, stream], [holder, group, id]):
            break  # another process has the lease
        if "ack" in e:
            r.xadd("carillon:in:{%s}" % e["node"], {"t": "ack", "a": e["ack"], "data": json.dumps([answer])}, maxlen=10_000, nomkstream=True)
    if not entries:
        r.xread({stream: last}, count=1, block=1000)  # until there is more
