// The page of examples/orders in Chromium, on two gateways, with two processes of a backend behind them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { nodes } from "./lib.mjs";

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const problems = [];
let browser, ada, bob;

before(async () => browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags }));
after(() => browser.close());

async function visit(gateway) {
  const page = await browser.newPage();
  page.on("pageerror", error => problems.push(String(error)));
  page.on("console", message => message.type() === "error" && problems.push(message.text()));
  await page.goto(`${process.env.PAGE}?gateway=${gateway}`);
  return page;
}

const reads = (page, id, text) => page.locator(`#${id}`, { hasText: text }).waitFor({ timeout: 60_000 });

async function order(page, item, quantity) {
  await page.fill("#item", item);
  await page.fill("#quantity", String(quantity));
  await page.evaluate(() => document.getElementById("answer").textContent = "");
  await page.click("button");
  await page.waitForFunction(() => document.getElementById("answer").textContent !== "");
  return page.textContent("#answer");
}

test("pages on both gateways are counted", async () => {
  ada = await visit(nodes[0]);
  bob = await visit(nodes[1]);
  await reads(ada, "online", /^2$/);
  await reads(bob, "online", /^2$/);
});

test("an order is answered, and all pages see it", async () => {
  assert.match(await order(ada, "bell 🔔", 2), /^ordered: \S+\/orders\/2$/);
  await reads(bob, "log", "bell 🔔");
  await reads(bob, "count", /^1$/);
  assert.match(await order(bob, "gong", 1), /^ordered: /);
  await reads(ada, "count", /^2$/);
});

test("the backend refuses an order", async () => {
  assert.equal(await order(ada, "nothing", 0), "refused: how many?");
});

test("when the backend that works dies, the other one takes over", async () => {
  process.kill(Number(process.env.WORKING), "SIGKILL");
  // A client that is told of a timeout does not know whether its order stands, and asks again.
  for (let i = 0; !/^ordered: /.test(await order(bob, `after ${i}`, 1)); i++);
});

test("a page that is closed is not counted any more", async () => {
  await ada.close();
  await reads(bob, "online", /^1$/);
  assert.deepEqual(problems, []);
});
