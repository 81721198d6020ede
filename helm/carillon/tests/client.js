// The client of helm test: node client.js URL connect|listen|heard
//   connect  succeeds once the official client is connected
//   listen   stays connected; tells on port 8081 whether it is (/connected) and has heard TOKEN (/heard)
//   heard    succeeds once the listener beside it has heard TOKEN
const [url, mode] = process.argv.slice(-2);
const { NAMESPACE, AUTH, SOCKETIO_PATH, TOKEN } = process.env;
const patience = 30_000;

// The image's own client, else the one that the gateway serves to browsers.
async function official() {
  try {
    return require("socket.io-client");
  } catch {
    const from = `${url}${SOCKETIO_PATH}socket.io.min.js`;
    const answer = await fetch(from);
    if (!answer.ok || !globalThis.WebSocket) {
      throw new Error(
        `no official client: ${from} answers ${answer.status}, Node.js is ${process.version}; ` +
          "set tests.image to one with socket.io-client in it",
      );
    }
    const module = { exports: {} };
    new Function("module", "exports", await answer.text())(module, module.exports);
    return module.exports;
  }
}

async function connect() {
  const { io } = await official();
  const socket = io(url + NAMESPACE, {
    path: SOCKETIO_PATH,
    auth: JSON.parse(AUTH),
    transports: ["websocket"],
    rejectUnauthorized: false,
  });
  socket.on("connect", () => console.log(`connected to ${url}${NAMESPACE} as ${socket.id}`));
  socket.on("connect_error", (e) => console.log(`not connected: ${e.message}`));
  return socket;
}

async function listen() {
  const socket = await connect();
  let heard = false;
  socket.on("carillon:test", (token) => {
    heard ||= token === TOKEN;
    console.log(`heard ${token}`);
  });
  require("http")
    .createServer((request, answer) => {
      const yes = request.url === "/connected" ? socket.connected : heard;
      answer.writeHead(yes ? 200 : 503).end();
    })
    .listen(8081);
}

async function heard() {
  for (;;) {
    const answer = await fetch("http://127.0.0.1:8081/heard").catch(() => null);
    if (answer?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  console.log(`the client heard ${TOKEN}`);
  process.exit(0);
}

function fail(reason) {
  console.error(reason);
  process.exit(1);
}

if (mode !== "listen") setTimeout(fail, patience, `${mode}: not within ${patience / 1000} s`);
({
  connect: async () => (await connect()).on("connect", () => process.exit(0)),
  listen,
  heard,
})[mode]().catch(fail);
