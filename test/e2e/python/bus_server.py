# A python-socketio server with clients of its own on a gateway cluster's Redis. What a client asks it to do, it does to any socket.
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import socketio

redis, port = sys.argv[1], int(sys.argv[2])
server = socketio.Server(async_mode="threading", client_manager=socketio.RedisManager(redis))


@server.event
def join(sid, room):
    server.enter_room(sid, room)


@server.event
def say(sid, room, what):
    server.emit("said", what, room=room, skip_sid=sid)


@server.event
def do(sid, method, *args):
    getattr(server, method)(*args)


@server.event
def ask(sid, other, question):
    return server.call("question", question, to=other, timeout=20)


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


make_server("127.0.0.1", port, socketio.WSGIApp(server), Threads, Quiet).serve_forever()
