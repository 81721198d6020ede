// The demo page in Chromium, and the publish command that `gateway dev` prints.
import assert from "node:assert/strict";
import { exec } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const { DEMO: demo, PUBLISH: publish } = process.env;
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
let browser;
const problems = [];

before(async () => browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags }));
after(() => browser.close());

async function visit(name) {
  const page = await (await browser.newContext()).newPage();
  page.on("pageerror", error => problems.push(String(error)));
  page.on("console", message => message.type() === "error" && problems.push(message.text()));
  await page.goto(demo);
  await page.locator("#status[data-state=connected]").waitFor();
  await page.fill("#name", name);
  await page.locator("#name").press("Enter");
  await page.locator("#name").blur();
  await page.locator("#status[data-state=connected]").waitFor();
  return page;
}

const line = (page, text) => page.locator("#log li", { hasText: text }).waitFor({ timeout: 15_000 });

async function say(page, text) {
  await page.fill("#text", text);
  await page.locator("#text").press("Enter");
}

let ada, bob;

test("two pages hear each other in the lobby", async () => {
  ada = await visit("ada");
  bob = await visit("bob");
  await line(ada, "bob joined");
  await say(bob, "good morning 🔔");
  await line(ada, "good morning 🔔");
  await line(bob, "good morning 🔔");
});

test("a room is heard by those who joined it", async () => {
  await ada.fill("#room", "bells");
  await ada.locator("#join button").click();
  await ada.locator("#title", { hasText: "# bells" }).waitFor();
  await bob.fill("#room", "bells");
  await bob.locator("#join button").click();
  await line(ada, "bob entered");
  await say(ada, "only for the bells");
  await line(bob, "only for the bells");
});

test("a private message reaches one person", async () => {
  await bob.locator("#people button", { hasText: "@ada" }).click();
  await say(bob, "just between us");
  await line(bob, "just between us");
  await ada.locator("#people button", { hasText: "@bob" }).click();
  await line(ada, "just between us");
});

test("the printed command reaches the open page", async () => {
  assert.equal(await ada.locator("#publish").textContent(), publish);
  await promisify(exec)(publish);
  await line(ada, "Hello from a backend");
});

test("leaving is noticed", async () => {
  await ada.locator("#rooms button", { hasText: "# lobby" }).click();
  await bob.context().close();
  await line(ada, "bob left");
});

test("the browser had nothing to complain about", () => assert.deepEqual(problems, []));
