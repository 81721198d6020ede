// Socket.IO 2.x in Chromium: binary polling as only browsers do it, and JSONP.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const { PROXY: proxy } = process.env;
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const require = createRequire(import.meta.url);
const modes = {
  polling: { transports: ["polling"] },
  "polling without binary": { transports: ["polling"], forceBase64: true },
  jsonp: { transports: ["polling"], forceJSONP: true },
  websocket: { transports: ["websocket"] },
  upgrade: { transports: ["polling", "websocket"] },
  "jsonp with upgrade": { transports: ["polling", "websocket"], forceJSONP: true },
};
let browser;

before(async () => browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags }));
after(() => browser.close());

// A page with a connected client; what it asks for and hears is kept in the page.
async function visit(version, options) {
  const page = await (await browser.newContext()).newPage();
  page.requests = [];
  page.on("request", request => page.requests.push(request));
  await page.goto(`${proxy}/nothing-here`);
  await page.addScriptTag({ path: require.resolve(`socket.io-client-${version}/dist/socket.io.js`) });
  await page.evaluate(options => new Promise((resolve, reject) => {
    const socket = window.socket = window.io(options);
    window.heard = [];
    socket.on("msg", (...args) => window.heard.push(args));
    socket.once("error", error => reject(new Error(JSON.stringify(error))));
    const upgraded = new Promise(done => options.transports.length === 1 ? done() : socket.io.engine.once("upgrade", done));
    socket.once("connect", () => upgraded.then(resolve));
    window.ask = (...event) => new Promise(done => socket.emit(...event, (...answer) => done(answer)));
    window.bytes = value => Array.from(new Uint8Array(value));
  }), options);
  return page;
}

for (const version of ["20", "25"]) {
  for (const [mode, options] of Object.entries(modes)) {
    test(`${version} ${mode}: text and binary go both ways`, async () => {
      const page = await visit(version, options);
      const text = "🔔 Ünïcödé \u2028\u2029 \\n \n \\\\n <script> \"";
      assert.deepEqual(await page.evaluate(text => window.ask("echo", text), text), [text]);
      assert.deepEqual(await page.evaluate(async () => {
        const [{ a: [data, more], b }] = await window.ask("echo", { a: [new Uint8Array([0, 1, 10, 254, 255]).buffer, new ArrayBuffer(3000)], b: "€" });
        return [window.bytes(data), more.byteLength, b];
      }), [[0, 1, 10, 254, 255], 3000, "€"]);

      const heard = await page.evaluate(async () => {
        await window.ask("join", "room:browser");
        for (let i = 0; i < 20; i++) await window.ask("publish", "room:browser", i, new Uint8Array([i]).buffer);
        return window.heard.map(([, i, data]) => [i, ...window.bytes(data)]);
      });
      assert.deepEqual(heard, Array.from({ length: 20 }, (_, i) => [i, i]));
      const jsonp = page.requests.some(request => request.resourceType() === "script" && request.url().includes("&j="));
      assert.equal(jsonp, mode.startsWith("jsonp"));
      await page.evaluate(() => window.socket.disconnect());
      await page.context().close();
    });
  }
}
