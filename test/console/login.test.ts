/** Login by token: what is asked of the API server, how long an answer counts, and the form in a browser. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import axe from "axe-core";
import fastify, { type FastifyInstance } from "fastify";
import type { Browser } from "playwright-core";
import type { Reviews } from "../../operator/cluster/reviews.ts";
import { serveConsole } from "../../operator/console/server.ts";
import { tokenGate } from "../../operator/console/token-gate.ts";
import { skipWithoutBrowser, startBrowser } from "../harness/browser.ts";

interface Stand {
  reviews: Reviews;
  /** `resource namespace`, or `resource *` for all namespaces, that may be listed. */
  granted: Set<string>;
  asked: string[];
  fails: boolean;
}

function stand(...granted: string[]): Stand {
  const it: Stand = {
    granted: new Set(granted),
    asked: [],
    fails: false,
    reviews: {
      async holderOf(token) {
        it.asked.push("token");
        if (it.fails) throw new Error("connect 10.0.0.1:443 with a header Bearer secret");
        return token === "good.token" ? { user: "ann", uid: "1", groups: ["staff"], extra: {} } : null;
      },
      async mayList(_holder, resource, namespace) {
        it.asked.push(`${resource} ${namespace ?? "*"}`);
        return it.granted.has(`${resource} ${namespace ?? "*"}`);
      },
    },
  };
  return it;
}

describe("a login by token", () => {
  it("asks once for all namespaces, and for each only where that is refused", async () => {
    const { reviews, asked } = stand("llmproviders *", "budgets b");
    const viewer = await tokenGate(
      reviews,
      () => ["a", "b"],
      () => 0,
    ).viewer("good.token");
    assert.deepEqual(asked.toSorted(), [
      ...["apikeys *", "apikeys a", "apikeys b", "budgets *", "budgets a", "budgets b", "llmproviders *"],
      ...["routingpolicies *", "routingpolicies a", "routingpolicies b", "token"],
    ]);
    assert.deepEqual(
      [viewer?.sees("LLMProvider", "z"), viewer?.sees("Budget", "b"), viewer?.sees("Budget", "a"), viewer?.everything],
      [true, true, false, false],
    );
  });

  it("counts for a minute, so that a right that is withdrawn ends", async () => {
    let nowMs = 0;
    const { reviews, granted, asked } = stand("budgets a");
    const gate = tokenGate(
      reviews,
      () => ["a"],
      () => nowMs,
    );
    assert.equal((await gate.viewer("good.token"))?.sees("Budget", "a"), true);
    granted.clear();
    nowMs = 59_000;
    const before = asked.length;
    assert.equal((await gate.viewer("good.token"))?.sees("Budget", "a"), true);
    assert.equal(asked.length, before);
    nowMs = 60_001;
    assert.equal((await gate.viewer("good.token"))?.sees("Budget", "a"), false);
  });

  it("refuses what the API server does not accept, and asks again soon", async () => {
    let nowMs = 0;
    const { reviews, asked } = stand();
    const gate = tokenGate(
      reviews,
      () => [],
      () => nowMs,
    );
    for (const token of [null, "bad.token", "bad.token"]) assert.equal(await gate.viewer(token), null);
    assert.deepEqual(asked, ["token"]);
    nowMs = 5_001;
    assert.equal(await gate.viewer("bad.token"), null);
    assert.deepEqual(asked, ["token", "token"]);
  });

  it("does not remember a failure to ask", async () => {
    const there = stand();
    const gate = tokenGate(
      there.reviews,
      () => [],
      () => 0,
    );
    there.fails = true;
    await assert.rejects(() => gate.viewer("good.token"));
    there.fails = false;
    assert.equal((await gate.viewer("good.token"))?.user, "ann");
  });
});

describe("the console with a login", { skip: await skipWithoutBrowser() }, () => {
  let app: FastifyInstance;
  let browser: Browser;
  let url = "";
  const there = stand("llmproviders *", "routingpolicies *", "budgets *", "apikeys *");
  const failures: unknown[] = [];
  before(async () => {
    app = fastify();
    serveConsole(app, {
      source: { read: async () => ({ config: null, revision: "", objects: [] }), proxies: async () => [] },
      gate: tokenGate(
        there.reviews,
        () => [],
        () => performance.now(),
      ),
      nowMs: Date.now,
      failed: (cause) => failures.push(cause),
    });
    await app.listen({ host: "127.0.0.1", port: 0 });
    url = `${app.listeningOrigin}/console/`;
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
    await app?.close();
  });

  it("lets in with a token, stays so after a reload, and lets out", async () => {
    const page = await browser.newPage();
    await page.goto(url);
    await page.getByLabel("Token").fill("bad.token");
    const session = await page.context().newCDPSession(page);
    await session.send("Runtime.evaluate", { expression: axe.source });
    const found = (await page.evaluate("axe.run().then(({ violations }) => violations)")) as {
      id: string;
      impact: string;
    }[];
    assert.deepEqual(
      found.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id),
      [],
    );
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("the API server does not accept this token").waitFor();
    await page.getByLabel("Token").fill("good.token");
    await page.keyboard.press("Enter");
    await page.getByText("ann", { exact: true }).waitFor();
    assert.equal(await page.evaluate("document.cookie"), "");
    await page.reload();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Token").waitFor();
    await page.reload();
    await page.getByLabel("Token").waitFor();
    await page.close();
  });

  it("tells a viewer nothing of why the API server could not be asked", async () => {
    there.fails = true;
    const body = JSON.stringify({ token: "other.token" });
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}api/login`, { method: "POST", headers, body });
    there.fails = false;
    assert.equal(response.status, 503);
    assert.doesNotMatch(await response.text(), /10\.0\.0\.1|secret/);
    assert.match(String(failures.at(-1)), /10\.0\.0\.1/);
  });

  for (const [name, type, body, status] of [
    ["a body that is no JSON", "application/json", "{", 400],
    ["a form, as another site could send it", "application/x-www-form-urlencoded", "token=good.token", 415],
    ["no token", "application/json", "{}", 401],
    ["a list", "application/json", "[]", 401],
  ] as const)
    it(`refuses ${name}`, async () => {
      const response = await fetch(`${url}api/login`, { method: "POST", headers: { "content-type": type }, body });
      assert.deepEqual([response.status, response.headers.get("set-cookie")], [status, null]);
    });
});
