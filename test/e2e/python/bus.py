# Clients on a python-socketio server and on two gateways, a manager that only writes, and a process that still writes pickles.
import pickle
import sys
import time
import urllib.request

import redis
import socketio

redis_url, server_url, gateway_a, gateway_b, ops = sys.argv[1:]


class Client:
    def __init__(self, url):
        self.heard = []
        self.io = socketio.Client()
        self.io.on("said", lambda *args: self.heard.append(args))
        self.io.on("question", lambda question: "the answer to " + question)
        self.io.on("disconnect", lambda *reason: self.heard.append("gone"))
        self.io.connect(url, transports=["polling"] if url == server_url else ["websocket"])
        self.sid = self.io.get_sid()

    def join(self, room):
        self.io.call("join", room)

    def hears(self, *what):
        until(lambda: what in self.heard, f"{what} in {self.heard}")

    def hears_once(self, *what):
        self.hears(*what)
        assert self.heard.count(what) == 1, self.heard


def until(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def metric(line):
    text = urllib.request.urlopen(ops + "/metrics").read().decode()
    return next((float(l.rsplit(" ", 1)[1]) for l in text.splitlines() if l.startswith(line)), None)


python, a, b = Client(server_url), Client(gateway_a), Client(gateway_b)
everybody = [python, a, b]
for client in everybody:
    client.join("chat:1")

# The server has subscribed once its client receives an event of a gateway's client.
def subscribed():
    a.io.emit("say", ("chat:1", "awake"))
    time.sleep(0.1)
    return ("awake",) in python.heard


until(subscribed, "the python server hears the channel")

# A gateway's client says something: every client receives it once, those of the other gateway too.
a.io.emit("say", ("chat:1", "from a gateway"))
for client in everybody:
    client.hears("from a gateway")

# A gateway's broadcast leaves the sender out.
b.io.emit("shout", {"from": "b"})
python.hears({"from": "b"})
a.hears({"from": "b"})

# The server's client says something: gateways' clients receive it.
python.io.emit("say", ("chat:1", "from the server"))
a.hears("from the server")
b.hears("from the server")

# Binary both ways.
python.io.emit("say", ("chat:1", b"\x00\xff"))
a.hears(b"\x00\xff")
b.io.emit("say", ("chat:1", {"bytes": b"\x01\x02"}))
python.hears({"bytes": b"\x01\x02"})

# A manager that only writes, from a script.
manager = socketio.RedisManager(redis_url, write_only=True)
manager.emit("said", "from a script", room="chat:1")
manager.emit("said", ("two", 2), room=["nobody", "chat:1"], skip_sid=b.sid)
manager.emit("said", b"\x03", room=a.sid)
for client in everybody:
    client.hears("from a script")
for client in (python, a):
    client.hears("two", 2)
a.hears(b"\x03")

# Acknowledgements: the server calls a gateway's client.
answer = python.io.call("ask", (a.sid, "everything"), timeout=30)
assert answer == "the answer to everything", answer

# enter_room, leave_room and close_room reach sockets of gateways.
def entered():
    manager.emit("said", "inside", room="vip")
    time.sleep(0.1)
    return ("inside",) in b.heard


python.io.emit("do", ("enter_room", b.sid, "vip"))
until(entered, "enter_room")
python.io.emit("do", ("leave_room", b.sid, "vip"))


def outside(room, client):
    before = list(client.heard)
    marks = [("mark", time.monotonic_ns())]
    manager.emit("said", ("secret", marks[0][1]), room=room)
    manager.emit("said", marks[0], room=client.sid)
    client.hears(*marks[0])
    return ("secret", marks[0][1]) not in client.heard


until(lambda: outside("vip", b), "leave_room")
python.io.emit("do", ("close_room", "chat:1"))
until(lambda: outside("chat:1", a) and outside("chat:1", b), "close_room")

# Pickles of old versions are refused and counted, and stop nothing.
r = redis.Redis.from_url(redis_url)
r.publish("socketio", pickle.dumps({"method": "emit", "event": "said", "data": ["pickled"], "namespace": "/", "room": None}))
r.publish("socketio", "{not JSON")
until(lambda: metric('carillon_python_dropped_total{direction="in",reason="pickle"}') == 1, "pickle counted")
until(lambda: metric('carillon_python_dropped_total{direction="in",reason="malformed"}') == 1, "malformed counted")

# disconnect, at last.
python.io.emit("do", ("disconnect", b.sid))
until(lambda: "gone" in b.heard, "disconnect")
manager.emit("said", "the end")
a.hears_once("the end")
python.hears_once("the end")
assert not any(("pickled",) == heard for client in everybody for heard in client.heard)
for client in everybody:
    repeated = [x for x in client.heard if x != ("awake",) and x != ("inside",) and client.heard.count(x) > 1]
    assert not repeated, repeated
for client in everybody:
    client.io.disconnect()
print("all passed", flush=True)
