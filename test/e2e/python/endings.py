# python-socketio's two clients, over every transport, for the table of endings: see js/endings.mjs.
import asyncio
import sys
import threading

import socketio

url = sys.argv[1]
transports = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}
delays = {"reconnection_delay": 0.1, "reconnection_delay_max": 0.5, "randomization_factor": 0}


def say(line):
    sys.stdout.write(line + "\n")  # in one piece: threads take turns
    sys.stdout.flush()


def threaded(transport):
    name, times = f"python/{transport}", 0
    client = socketio.Client(**delays)

    def connected():
        nonlocal times
        times += 1
        client.emit("echo", times, namespace="/extra", callback=lambda n: say(f"{name} up {n}"))

    client.on("connect", connected, namespace="/extra")
    client.on("disconnect", lambda reason: say(f"{name} down {reason}"))
    client.connect(url, transports=transports[transport], namespaces=["/", "/extra"], retry=True)
    client.wait()


async def asynchronous(transport):
    name, times = f"python-async/{transport}", 0
    client = socketio.AsyncClient(**delays)

    async def connected():
        nonlocal times
        times += 1
        await client.emit("echo", times, namespace="/extra", callback=lambda n: say(f"{name} up {n}"))

    client.on("connect", connected, namespace="/extra")
    client.on("disconnect", lambda reason: say(f"{name} down {reason}"))
    await client.connect(url, transports=transports[transport], namespaces=["/", "/extra"], retry=True)
    await client.wait()


async def main():
    await asyncio.gather(*map(asynchronous, transports))


for transport in transports:
    threading.Thread(target=threaded, args=[transport], daemon=True).start()
asyncio.run(main())
