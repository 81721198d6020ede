// A client that says when it is connected and asks for an echo each time: it comes back by itself after a restart.
import { io } from "socket.io-client";

const [url, transport] = process.argv.slice(2);
const socket = io(url, { transports: [transport], reconnectionDelay: 100, reconnectionDelayMax: 500 });
let connections = 0;
socket.on("connect", () => socket.emit("echo", ++connections, answer => console.log("echo", answer)));
socket.on("disconnect", reason => console.log("disconnected:", reason));
