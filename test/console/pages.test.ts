/** Every page of the console in a real browser: with data, empty, on a phone, in the dark, and under attack. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { skipWithoutBrowser, startBrowser } from "../harness/browser.ts";
import { startGateway, type TestGateway } from "../harness/gateway.ts";
import { clearKey, type Scene, startScene } from "./scene.ts";

const names = ["overview", "requests", "routes", "providers", "keys", "budgets", "cost", "compliance", "config"];
const images = join(import.meta.dirname, "../../docs/images");

interface Watched {
  page: Page;
  /** What the browser complained about, such as a violation of the policy. */
  complaints: string[];
  close(): Promise<void>;
}

async function watchedPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.addInitScript(
    "document.addEventListener('securitypolicyviolation', (event) => console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`))",
  );
  return { page, complaints, close: () => context.close() };
}

async function open(page: Page, url: string, name: string): Promise<void> {
  await page.goto(`${url}#/${name}`);
  await page.locator("main .card").first().waitFor();
  await page.getByText("Loading…").waitFor({ state: "detached" });
}

interface Finding {
  id: string;
  impact: string;
  nodes: { html: string }[];
}

/** What axe-core finds serious or critical. Its script comes through the debugger, which no policy of the page governs. */
async function seriousFindings(page: Page): Promise<string[]> {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe.source });
  const violations = (await page.evaluate("axe.run().then(({ violations }) => violations)")) as Finding[];
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

const overflow = (page: Page): Promise<number> =>
  page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");

const hostile = "<img src=x onerror=window.hacked=1><script>window.hacked=1</script><a href=javascript:hack()>";

/** With every text replaced; numbers, dates of days and the shape stay. */
function poisoned(json: unknown): unknown {
  if (typeof json === "string") return /^\d{4}-\d\d-\d\d/.test(json) ? json : hostile;
  if (Array.isArray(json)) return json.map(poisoned);
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, poisoned(value)]));
}

describe("the console in a browser", { skip: await skipWithoutBrowser() }, () => {
  let browser: Browser;
  let scene: Scene;
  let empty: TestGateway;
  before(async () => {
    [browser, scene, empty] = await Promise.all([startBrowser(), startScene(), startGateway([])]);
  });
  after(async () => {
    await browser?.close();
    await scene?.close();
    await empty?.close();
  });

  const views = [
    { view: "in the light", options: { colorScheme: "light" as const } },
    {
      view: "in the dark, on a phone",
      options: { colorScheme: "dark" as const, viewport: { width: 390, height: 844 } },
    },
  ];
  for (const { view, options } of views)
    it(`shows every page with data and without, ${view}: accessible, within its width, and within its policy`, async () => {
      const { page, complaints, close } = await watchedPage(browser, options);
      for (const url of [scene.url, `${empty.statusUrl}/console/`])
        for (const name of names) {
          await open(page, url, name);
          const where = `${name} of ${url === scene.url ? "the scene" : "an empty gateway"}`;
          assert.ok((await overflow(page)) <= 0, `${where} is wider than the screen`);
          assert.deepEqual(await seriousFindings(page), [], where);
          assert.deepEqual(complaints.splice(0), [], where);
        }
      await close();
    });

  it("says what is wrong, in words", async () => {
    const { page, close } = await watchedPage(browser);
    await open(page, scene.url, "overview");
    const problems = page.locator(".problems");
    await problems.getByText("is used up; calls under it are refused").waitFor();
    await problems.getByText("0/1 proxies reach it").waitFor();
    await open(page, scene.url, "providers");
    await page.getByText("breaker open", { exact: true }).waitFor();
    await open(page, scene.url, "budgets");
    await page.getByText("Used up. Calls under it are refused.").waitFor();
    await open(page, `${empty.statusUrl}/console/`, "overview");
    await page.getByText("Nothing is wrong right now.").waitFor();
    await page.getByText("No calls yet").waitFor();
    await close();
  });

  /** What each page must show of the scene, and of a gateway without objects. */
  const contents: Record<string, { scene: (string | RegExp)[]; empty: (string | RegExp)[] }> = {
    overview: {
      scene: [
        "Budget default/support-daily",
        "is used up",
        "LLMProvider default/mistral-fr",
        /Spent today/,
        "7 refused",
      ],
      empty: ["Nothing is wrong right now.", "No calls yet"],
    },
    requests: { scene: ["budget_exceeded", "prompt_denied", "cache", "no key"], empty: ["No calls yet"] },
    routes: {
      scene: ["default/openai-eu, weight 80", /\d+ calls?, 95 % within/, "candidate gets 20 % of the traffic"],
      empty: ["No routes"],
    },
    providers: {
      scene: ["0/1 proxies reach it", "breaker open", /of 600 requests/, /\d+ ms median/, "retires 2027-01-15"],
      empty: ["No providers"],
    },
    keys: { scene: ["revoked", "alice@example.com", "data-scientist", /\d+ \w+ ago|now/, "never"], empty: ["No keys"] },
    budgets: {
      scene: ["Used up. Calls under it are refused.", "of $0.002", "by the one who spent most", "bruno@example.com"],
      empty: ["No budgets"],
    },
    cost: { scene: ["Download CSV", "By user", "dana@example.com", /By user[\s\S]*%/], empty: ["Nothing was used"] },
    compliance: {
      scene: ["Email", "eu-north, eu-west", "Set audit.file", /Calls refused or failed[\s\S]*prompt_denied/],
      empty: ["No policies"],
    },
    config: {
      scene: [/published revision \w{12}/, "LLMProvider nowhere is not in namespace", "current"],
      empty: ["No objects"],
    },
  };
  for (const [name, { scene: ofScene, empty: ofNothing }] of Object.entries(contents))
    it(`shows on ${name} what a reader comes for`, async () => {
      const { page, close } = await watchedPage(browser);
      for (const [url, expected] of [
        [scene.url, ofScene],
        [`${empty.statusUrl}/console/`, ofNothing],
      ] as const) {
        await open(page, url, name);
        const text = await page.locator("main").innerText();
        for (const part of expected)
          assert.ok(typeof part === "string" ? text.includes(part) : part.test(text), `${part} is not in:\n${text}`);
        assert.doesNotMatch(text, /slc_/);
      }
      await close();
    });

  it("shows a call as it arrives, without a reload", async () => {
    const { page, close } = await watchedPage(browser);
    await open(page, scene.url, "requests");
    await page.locator(".calls li").first().waitFor();
    const id = "a-call-that-arrives-later";
    await fetch(`${scene.gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clearKey("alice")}`, "content-type": "application/json", "x-request-id": id },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hello" }] }),
    });
    await page.getByRole("searchbox").fill(id);
    await page.locator(".calls > li").first().waitFor();
    assert.equal(await page.locator(".calls > li").count(), 1);
    await close();
  });

  it("works by keyboard alone", async () => {
    const { page, close } = await watchedPage(browser);
    await open(page, scene.url, "requests");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate("document.activeElement.textContent"), "Skip to the content");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate("document.activeElement.tagName"), "H1");
    await page.locator(".calls summary").first().focus();
    await page.keyboard.press("Enter");
    await page.locator(".calls details[open] .why").first().waitFor();
    await page.getByRole("link", { name: "Budgets" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: "Budgets" }).waitFor();
    assert.equal(await page.evaluate("document.activeElement.textContent"), "Budgets");
    await close();
  });

  it("keeps an opened call open while new data arrive", async () => {
    const { page, close } = await watchedPage(browser);
    await open(page, scene.url, "requests");
    await page.locator(".calls summary").nth(2).click();
    await page.waitForResponse((response) => response.url().endsWith("/api/requests"));
    await page.waitForResponse((response) => response.url().endsWith("/api/requests"));
    assert.equal(await page.locator(".calls details[open]").count(), 1);
    await close();
  });

  it("keeps the chosen colours", async () => {
    const { page, close } = await watchedPage(browser, { colorScheme: "light" });
    await open(page, scene.url, "overview");
    const ground = (): Promise<string> => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const light = await ground();
    const button = page.getByRole("button", { name: /colours/ });
    await button.click();
    await button.click();
    assert.notEqual(await ground(), light);
    await page.reload();
    await page.locator("main .card").first().waitFor();
    assert.notEqual(await ground(), light);
    await close();
  });

  it("offers the CSV of what it shows", async () => {
    const { page, close } = await watchedPage(browser);
    await open(page, scene.url, "cost");
    await page.getByRole("button", { name: "team" }).click();
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Download CSV").click()]);
    assert.equal(download.suggestedFilename(), "sluice-cost-by-team-7d.csv");
    await close();
  });

  it("shows names, models and messages as text, whatever they are", async () => {
    const { page, complaints, close } = await watchedPage(browser);
    await page.route("**/console/api/*", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: poisoned(await response.json()) });
    });
    for (const name of names) {
      await open(page, scene.url, name);
      for (const summary of (await page.locator("summary").all()).slice(0, 10)) await summary.click();
      assert.equal(await page.evaluate("window.hacked"), undefined, name);
      assert.equal(await page.locator("img[src=x], #app script, a[href^=javascript]").count(), 0, name);
      assert.ok((await page.locator("main").innerText()).includes("<script>window.hacked=1</script>"), name);
      assert.deepEqual(complaints.splice(0), [], name);
    }
    await page.unrouteAll({ behavior: "ignoreErrors" });
    await close();
  });

  it("is painted before its data are there, and soon has them", async (context) => {
    const { page, close } = await watchedPage(browser);
    await open(page, scene.url, "overview");
    const paint = (await page.evaluate(
      "performance.getEntriesByName('first-contentful-paint')[0]?.startTime",
    )) as number;
    context.diagnostic(`first contentful paint after ${Math.round(paint)} ms`);
    assert.ok(paint > 0);
    await close();
  });

  it("makes the screenshots of the README", { skip: process.env["UPDATE_SCREENSHOTS"] === undefined }, async () => {
    await mkdir(images, { recursive: true });
    for (const [name, colorScheme] of [
      ["overview", "light"],
      ["routes", "light"],
      ["requests", "dark"],
    ] as const) {
      const { page, close } = await watchedPage(browser, { colorScheme, viewport: { width: 1000, height: 640 } });
      await open(page, scene.url, name);
      if (name === "requests") {
        await page.getByRole("searchbox").fill("mistral");
        await page.locator(".calls summary", { hasText: "mistral-large" }).last().click();
      }
      await page.screenshot({ path: join(images, `console-${name}.png`) });
      await close();
    }
  });
});
