// The same receiver for Node, without a package:  CARILLON_SECRET=… PORT=3000 node receiver.mjs
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const secret = process.env.CARILLON_SECRET;
const answered = new Map(); // by id; keep them where your other data is

function verify(signature, body) {
  const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature ?? "") ?? [];
  if (!t || Math.abs(Date.now() / 1000 - Number(t)) > 300) return false;
  const want = createHmac("sha256", secret).update(`${t}.`).update(body).digest();
  return timingSafeEqual(want, Buffer.from(v1, "hex"));
}

createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  if (!verify(request.headers["x-carillon-signature"], body)) {
    response.writeHead(403).end("not signed as it should be");
    return;
  }
  const event = JSON.parse(body);
  if (!answered.has(event.id)) {
    const isEvent = event.type === "carillon.event";
    answered.set(event.id, isEvent ? [{ ok: true, received: event.event, arguments: event.data.length }] : []);
    console.log(event.id, event.event ?? event.type);
  }
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(answered.get(event.id)));
}).listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening"));
