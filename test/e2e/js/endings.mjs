// Clients of every line and transport, for the table of endings. Each says `<name> up <n>` whenever it has joined both of its
// namespaces and had an answer, and `<name> down <reason>` whenever it is disconnected.
import { client, clients, engine } from "./legacy.mjs";

const url = process.argv[2];
const lines = ["2.5", "3.1", "4.8"];

for (const line of lines) {
  for (const transport of ["polling", "websocket", "upgrade"]) {
    const name = `js-${line}/${transport}`;
    const socket = client(line, url, { transport, reconnectionDelay: 100, reconnectionDelayMax: 500 });
    const extra = socket.io.socket("/extra");
    extra.open();
    let times = 0;
    extra.on("connect", () => extra.emit("echo", ++times, n => console.log(name, "up", n)));
    socket.on("disconnect", reason => console.log(name, "down", reason));
  }
}
