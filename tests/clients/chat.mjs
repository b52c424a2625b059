// A customer in a real browser, on the chat page and on a shop's page with the widget.
//
// In:  {"base": "http://127.0.0.1:8080/chat/chat", "say": a text that gets a reply, "menu": a text that gets options, "later": another that gets a reply,
//       "shots": a folder for pictures}; all but base may be left out.
// Out: {"passed": [name], "failed": {name: why}}
import { randomUUID } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { text as all } from "node:stream/consumers";

const { chromium } = createRequire(import.meta.url)("playwright-core");
const { base, say = "多久发货", menu = "会员", later = "怎么开发票", shots } = JSON.parse(await all(process.stdin));
const passed = [];
const failed = {};
const faults = []; // of the console and the page's policy
let quiet = false; // while faults are meant to happen

async function check(name, test) {
  try {
    await test();
    passed.push(name);
  } catch (error) {
    failed[name] = String(error?.message ?? error).split("\n").slice(0, 6).join(" | ");
  }
}

function must(holds, why) {
  if (!holds) throw new Error(why);
}

function browserPath() {
  for (const folder of process.env.PATH.split(delimiter)) {
    for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch { /* elsewhere */ }
    }
  }
  throw new Error("no chromium, chromium-browser or google-chrome on PATH");
}

const browser = await chromium.launch({
  executablePath: browserPath(),
  args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});

async function tab(options = {}) {
  const context = await browser.newContext({ locale: "zh-CN", ...options });
  context.setDefaultTimeout(8_000);
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (broken) => console.error(`policy: ${broken.violatedDirective} ${broken.blockedURI}`));
  });
  const page = await context.newPage();
  page.on("console", (said) => !quiet && said.type() === "error" && faults.push(said.text()));
  page.on("pageerror", (error) => faults.push(String(error)));
  return { context, page };
}

const online = (where) => where.locator("#state[data-state=online]").waitFor();
const replies = (where) => where.locator(".message.bot, .message.agent");
const own = (where) => where.locator(".message.customer");
const shot = (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`) });

async function write(where, text) {
  await where.locator("#text").fill(text);
  await where.locator("#text").press("Enter");
}

// Writes, and waits for the reply.
async function talk(where, text) {
  const before = await replies(where).count();
  await write(where, text);
  await replies(where).nth(before).waitFor();
}

const { context, page } = await tab();

await check("the page opens under a strict policy", async () => {
  const answer = await page.goto(base);
  const policy = answer.headers()["content-security-policy"] ?? "";
  must(policy.includes("default-src 'none'") && !policy.includes("unsafe"), `the policy is: ${policy}`);
  await online(page);
});

await check("a message is sent and answered", async () => {
  await talk(page, say);
  const sent = own(page).last();
  must((await sent.locator(".bubble").innerText()).includes(say), "the customer's own words are shown");
  must((await page.locator(".message.bot .label").first().innerText()) === "机器人", "the bot is called one");
  must((await page.locator("#text").inputValue()) === "", "the field is empty again");
  await page.locator(".message.sending").waitFor({ state: "detached" });
  must((await own(page).count()) === 1, "one message is one bubble");
});

await check("a button of a menu is pressed once", async () => {
  await talk(page, menu);
  const button = await replies(page).last().locator(".options button").first().elementHandle();
  const option = await button.innerText();
  const before = await replies(page).count();
  await button.click();
  await replies(page).nth(before).waitFor();
  must((await own(page).last().locator(".bubble").innerText()).includes(option), "the option is the customer's message");
  must(await button.isDisabled(), "the button cannot be pressed again");
});

await check("text is never markup", async () => {
  const markup = `<img src=x onerror="document.title='taken'"> **b** https://example.com/a?b=1&c=2 javascript:alert(1)`;
  await write(page, markup);
  const bubble = own(page).last().locator(".bubble");
  await bubble.getByText("<img src=x").waitFor();
  must((await page.locator("#messages img").count()) === 0, "no element was made of the text");
  must((await page.title()) !== "taken", "nothing of the text ran");
  const links = bubble.locator("a");
  must((await links.count()) === 1, "one link");
  must((await links.getAttribute("href")) === "https://example.com/a?b=1&c=2", "the address is whole");
  must((await links.getAttribute("rel")).includes("noopener"), "the other page gets no hold of this one");
});

await check("another tab hears every character, also one that ends lines elsewhere", async () => {
  const tab = await context.newPage();
  await tab.goto(base);
  await online(tab);
  await write(page, "单号是\u2028R-12345");
  await own(tab).last().locator(".bubble").getByText("R-12345").waitFor();
  await tab.close();
});

await check("Enter that ends a composition does not send", async () => {
  const before = await own(page).count();
  const devtools = await context.newCDPSession(page);
  await page.locator("#text").fill("");
  await page.locator("#text").focus();
  await devtools.send("Input.imeSetComposition", { text: "ni'hao", selectionStart: 6, selectionEnd: 6 });
  for (const type of ["rawKeyDown", "keyUp"]) {
    await devtools.send("Input.dispatchKeyEvent", { type, key: "Enter", code: "Enter", windowsVirtualKeyCode: 13 });
  }
  await page.locator("#text").evaluate((field) => {
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true }));
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }));
  });
  await devtools.send("Input.insertText", { text: "你好" });
  must((await own(page).count()) === before, "nothing was sent");
  must((await page.locator("#text").inputValue()).includes("你好"), "the word is in the field");
  await page.locator("#text").press("Shift+Enter");
  must((await page.locator("#text").inputValue()).includes("\n"), "Shift+Enter is a new line");
  must((await own(page).count()) === before, "nothing was sent by Shift+Enter");
  await page.locator("#text").fill("");
});

await check("a text that is too long waits for its writer", async () => {
  await page.locator("#text").fill("好".repeat(5001));
  must(await page.locator("#send").isDisabled(), "it cannot be sent");
  await page.locator("#text").fill("好".repeat(5000));
  must(await page.locator("#send").isEnabled(), "5000 characters can");
  await page.locator("#text").fill("");
});

await check("a reload shows what was said", async () => {
  const before = await page.locator(".message .bubble").allInnerTexts();
  await page.reload();
  await online(page);
  await page.locator(".message .bubble").nth(before.length - 1).waitFor();
  const after = await page.locator(".message .bubble").allInnerTexts();
  must(before.every((text, place) => after[place] === text), `${after.length} messages after ${before.length}`);
});

// The same customer from elsewhere, with the token that the page keeps.
async function meanwhile(text) {
  const token = await page.evaluate(() => Object.entries(localStorage).find(([key]) => key.startsWith("yingda-session"))[1]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(`${base}/messages`, {
    method: "POST", headers, body: JSON.stringify({ message_id: randomUUID(), text }),
  });
  must(answer.status === 202, `status ${answer.status}`);
}

await check("what came while offline is there when online", async () => {
  quiet = true;
  const [before, mine] = [await replies(page).count(), await own(page).count()];
  await context.setOffline(true);
  await page.locator("#state[data-state=offline]").waitFor();
  await meanwhile(later);
  // Two messages in a row would be answered together.
  await new Promise((done) => setTimeout(done, 2000));
  await write(page, "断网时写的");
  await own(page).last().locator(".note").getByText("发送中").waitFor();
  await shot(page, "offline");
  await context.setOffline(false);
  await online(page);
  await replies(page).nth(before).waitFor();
  await page.locator(".message.sending").waitFor({ state: "detached" });
  must((await own(page).count()) === mine + 2, "both messages of the customer are there, once");
  quiet = false;
});
quiet = false;

await check("a dead session is replaced", async () => {
  const { context: fresh, page: other } = await tab();
  quiet = true;
  await other.goto(base);
  await online(other);
  await other.evaluate(() => {
    for (const key of Object.keys(localStorage)) localStorage.setItem(key, "nobody-knows-this");
  });
  await other.reload();
  await online(other);
  await talk(other, say);
  quiet = false;
  await fresh.close();
});
quiet = false;

for (const [scheme, is] of [["light", (light) => light > 200], ["dark", (light) => light < 60]]) {
  await check(`a ${scheme} scheme has a ${scheme} ground`, async () => {
    await page.emulateMedia({ colorScheme: scheme });
    const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    must(ground.match(/\d+/g).slice(0, 3).every((part) => is(Number(part))), ground);
    await shot(page, scheme);
  });
}

await check("a phone has nothing to scroll sideways", async () => {
  const { context: fresh, page: phone } = await tab({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
  await phone.goto(base);
  await online(phone);
  await talk(phone, menu);
  await write(phone, `https://example.com/${"long".repeat(60)}`);
  await own(phone).nth(1).waitFor();
  const [wide, view] = await phone.evaluate(() => [Math.max(...["html", "body", "#log", ".chat"].map((each) => document.querySelector(each).scrollWidth)), innerWidth]);
  must(wide <= view, `${wide} of ${view} pixels`);
  const size = await phone.locator("#text").evaluate((field) => parseFloat(getComputedStyle(field).fontSize));
  must(size >= 16, `a field of ${size} px zooms the page`);
  await shot(phone, "phone");
  await fresh.close();
});

// A shop's own page, from another origin and with rules of its own for everything.
const shop = createServer((_, answer) => {
  const widget = `<script src="${base}/widget.js" data-color="#0b7a4b" async></script>`;
  answer.writeHead(200, { "content-type": "text/html; charset=utf-8" });
  answer.end(`<!doctype html><html lang="zh-CN"><title>店</title><link rel="icon" href="data:,"><style>* { border: 3px solid red !important; }
    div, button { display: none; transform: rotate(9deg); }</style><body><h1>云朵服饰</h1><p>秋季新款</p>${widget}${widget}</body></html>`);
});
await new Promise((done) => shop.listen(0, "127.0.0.1", done));

await check("the widget opens on a shop's page and chats", async () => {
  const { context: fresh, page: host } = await tab({ viewport: { width: 1100, height: 800 } });
  await host.goto(`http://127.0.0.1:${shop.address().port}/`);
  const launcher = host.locator("yingda-chat .launcher");
  await launcher.waitFor();
  must((await host.locator("yingda-chat").count()) === 1, "two scripts make one launcher");
  must((await host.locator("iframe").count()) === 0, "nothing is loaded before the first click");
  await shot(host, "launcher");
  await launcher.click();
  const frame = host.frameLocator("yingda-chat iframe");
  await online(frame);
  must((await host.locator("yingda-chat iframe").getAttribute("title")) !== "", "the frame has a name");
  await talk(frame, say);
  await shot(host, "widget");
  await frame.locator("#text").press("Escape");
  await host.locator("yingda-chat .panel").waitFor({ state: "hidden" });
  await launcher.click();
  await write(frame, menu);
  await frame.locator("#close").click();
  await host.locator("yingda-chat .dot").waitFor();
  await host.evaluate(() => window.postMessage({ yingda: "message" }, "*"));
  await launcher.click();
  await host.locator("yingda-chat .dot").waitFor({ state: "hidden" });
  await host.setViewportSize({ width: 390, height: 844 });
  const box = await host.locator("yingda-chat .panel").boundingBox();
  must(box.x === 0 && box.y === 0 && box.width === 390 && box.height === 844, `on a phone: ${JSON.stringify(box)}`);
  await shot(host, "widget-phone");
  await fresh.close();
});

await check("no errors and no breach of the policy", async () => must(faults.length === 0, faults.join(" | ")));

shop.close();
await browser.close();
console.log(JSON.stringify({ passed, failed }));
