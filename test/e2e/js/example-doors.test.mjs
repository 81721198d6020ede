// examples/doors in Chromium: Socket.IO, plain WebSocket and carillon.v1.json chat, an EventSource looks on.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const [url] = process.env.NODES.split(",");
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const problems = [];
let browser;

before(async () => browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags }));
after(() => browser.close());

async function visit(door) {
  const page = await (await browser.newContext()).newPage();
  page.on("pageerror", error => problems.push(`${door}: ${error}`));
  page.on("console", message => message.type() === "error" && problems.push(`${door}: ${message.text()}`));
  await page.goto(`${url}/?door=${door}`);
  await page.locator("#status", { hasText: /^connected$/ }).waitFor();
  return page;
}

async function say(page, text) {
  await page.fill("#text", text);
  await page.locator("#text").press("Enter");
}

test("pages behind four doors are in one room", async () => {
  const pages = {};
  for (const door of ["socketio", "websocket", "object", "events"]) pages[door] = await visit(door);
  for (const door of ["socketio", "websocket", "object"]) {
    const text = `from ${door} 🔔 "quoted"`;
    await say(pages[door], text);
    for (const page of Object.values(pages)) await page.locator("#log li", { hasText: text }).waitFor();
  }
  for (const door of ["socketio", "object"]) await pages[door].locator("#status", { hasText: "delivered" }).waitFor();
  for (const [door, page] of Object.entries(pages)) assert.equal(await page.locator("#log li").count(), 3, door);
  assert.equal(await pages.events.locator("#say").isVisible(), false);
  assert.deepEqual(problems, []);
});
