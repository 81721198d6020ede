# A client that says when it is connected and asks for an echo each time: it comes back by itself after a restart.
import sys

import socketio

url, transport = sys.argv[1], sys.argv[2]
client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5, randomization_factor=0)
connections = 0


@client.event
def connect():
    global connections
    connections += 1
    number = connections
    client.emit("echo", number, callback=lambda answer: print("echo", answer, flush=True))


@client.event
def disconnect(reason):
    print("disconnected:", reason, flush=True)


client.connect(url, transports=[transport], retry=True)
client.wait()
