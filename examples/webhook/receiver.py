"""The same receiver for Python, without a package:  CARILLON_SECRET=… PORT=3000 python3 receiver.py"""

import hashlib
import hmac
import json
import os
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["CARILLON_SECRET"].encode()
answered = {}  # by id; keep them where your other data is


def verify(signature, body):
    match = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", signature or "")
    if not match or abs(time.time() - int(match[1])) > 300:
        return False
    want = hmac.new(SECRET, match[1].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(want, match[2])


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not verify(self.headers.get("X-Carillon-Signature"), body):
            self.send_error(403, "not signed as it should be")
            return
        event = json.loads(body)
        if event["id"] not in answered:
            answer = []
            if event["type"] == "carillon.event":
                answer = [{"ok": True, "received": event["event"], "arguments": len(event["data"])}]
            answered[event["id"]] = answer
            print(event["id"], event.get("event", event["type"]), flush=True)
        text = json.dumps(answered[event["id"]]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


print("listening", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
