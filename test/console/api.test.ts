/** The console's server: what it answers, to whom, and what is never in it. */
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { bundlePage } from "../../operator/console/bundle-page.ts";
import type { BudgetRow } from "../../operator/console/views/budgets.ts";
import type { ComplianceView } from "../../operator/console/views/compliance.ts";
import type { ConfigView } from "../../operator/console/views/config.ts";
import type { CostView } from "../../operator/console/views/cost.ts";
import type { KeysView } from "../../operator/console/views/keys.ts";
import type { Overview } from "../../operator/console/views/overview.ts";
import type { ProviderRow } from "../../operator/console/views/providers.ts";
import type { ExplainedCall } from "../../operator/console/views/requests.ts";
import type { RouteRow } from "../../operator/console/views/routes.ts";
import { startGateway } from "../harness/gateway.ts";
import { clearKey, type Scene, startScene } from "./scene.ts";

const names = [
  "session",
  "overview",
  "providers",
  "routes",
  "keys",
  "budgets",
  "cost",
  "requests",
  "compliance",
  "config",
];

/** The status of a GET with a custom Host header, which fetch does not allow. */
function statusWithHost(url: string, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on("error", reject)
      .end();
  });
}

describe("the console of sluice dev", () => {
  let scene: Scene;
  before(async () => {
    scene = await startScene();
  });
  after(() => scene.close());
  const read = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${scene.url}api/${path}`);
    assert.equal(response.status, 200, path);
    return (await response.json()) as T;
  };

  it("prints its address", () =>
    assert.ok(scene.gateway.printed.includes(`console: ${scene.gateway.statusUrl}/console`)));

  it("keeps everything foreign out of the page and its data", async () => {
    for (const path of ["", "app.js", "app.css", "icon.svg", "api/session", "api/cost.csv"]) {
      const { headers } = await fetch(`${scene.url}${path}`);
      const policy = headers.get("content-security-policy") ?? "";
      assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /, path);
      assert.doesNotMatch(policy, /unsafe|https?:|data:|\*/, path);
      assert.match(policy, /frame-ancestors 'none'/, path);
      assert.equal(headers.get("x-content-type-options"), "nosniff", path);
      assert.equal(headers.get("referrer-policy"), "no-referrer", path);
      assert.equal(headers.get("access-control-allow-origin"), null, path);
      assert.equal(headers.get("cache-control"), path.startsWith("api") ? "no-store" : "no-cache", path);
    }
  });

  it("names no other server, and takes less than 250 kB", async () => {
    const { files } = await bundlePage();
    const all = Object.values(files).join("\n");
    const addresses = [...all.matchAll(/https?:\/\/[a-z0-9.-]+/gi)].map(([address]) => address);
    assert.deepEqual(
      addresses.filter((address) => address !== "http://www.w3.org"),
      [],
    );
    const bytes = Object.values(files).reduce((sum, text) => sum + gzipSync(text).length, 0);
    assert.ok(bytes < 250_000, `${bytes} bytes compressed`);
  });

  it("is not loaded again while it is the same", async () => {
    const first = await fetch(`${scene.url}app.js`);
    const again = await fetch(`${scene.url}app.js`, { headers: { "if-none-match": first.headers.get("etag") ?? "" } });
    assert.equal(again.status, 304);
  });

  it("redirects to the page", async () => {
    const response = await fetch(scene.url.replace(/\/$/, ""), { redirect: "manual" });
    assert.deepEqual([response.status, response.headers.get("location")], [308, "/console/"]);
  });

  for (const [host, status] of [
    ["127.0.0.1:9090", 200],
    ["localhost", 200],
    ["[::1]:9090", 200],
    ["console.attacker.example", 403],
    ["127.0.0.1.attacker.example", 403],
    ["localhost:80@attacker.example", 403],
  ] as const)
    it(`answers ${status} where the Host header is ${host}`, async () => {
      for (const path of ["", "api/overview", "api/cost.csv"])
        assert.equal(await statusWithHost(`${scene.url}${path}`, host), status, path);
    });

  it("changes nothing: every other method is refused", async () => {
    for (const name of names)
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        const { status } = await fetch(`${scene.url}api/${name}`, { method });
        assert.equal(status, 404, `${method} ${name}`);
      }
  });

  it("never shows a key, a credential or what was said", async () => {
    const texts = await Promise.all(
      [...names, "cost.csv"].map(async (name) => (await fetch(`${scene.url}api/${name}`)).text()),
    );
    const all = texts.join("\n");
    const secrets = [clearKey("alice"), "upstream-key", "slc_", "Question 1", "Nightingale", "jane.doe", "Answer 1"];
    assert.deepEqual(
      secrets.filter((secret) => all.includes(secret)),
      [],
    );
  });

  it("says on the overview what is wrong now", async () => {
    const { problems, hour, minute, days, proxies } = await read<Overview>("overview");
    const abouts = problems.map(({ severity, about }) => `${severity} ${about}`);
    assert.ok(abouts.includes("error Budget default/support-daily"), abouts.join());
    assert.ok(abouts.includes("error LLMProvider default/mistral-fr"), abouts.join());
    assert.ok(abouts.includes("error RoutingPolicy default/broken"), abouts.join());
    assert.ok(hour.calls >= 80 && minute.calls > 0 && hour.refused >= 6, JSON.stringify(hour));
    assert.ok(days.every(({ costNanoUsd }) => costNanoUsd > 0));
    assert.deepEqual([proxies.total, proxies.current], [1, 1]);
  });

  it("shows providers with breakers, quota and latency", async () => {
    const { providers } = await read<{ providers: ProviderRow[] }>("providers");
    const of = (name: string): ProviderRow | undefined => providers.find(({ id }) => id === `default/${name}`);
    assert.deepEqual([of("mistral-fr")?.state, of("mistral-fr")?.models[0]?.breaker], ["failed", "open"]);
    assert.deepEqual(of("openai-eu")?.reach, { well: 1, ill: 0, unknown: 0 });
    assert.deepEqual(
      of("openai-eu")?.quota.map(({ what, limit }) => [what, limit]),
      [
        ["requests", 600],
        ["tokens", 200_000],
      ],
    );
    assert.ok((of("openai-eu")?.hour.p95Ms ?? 0) > 0);
  });

  it("shows routes with each target's share, and the canary", async () => {
    const { routes, unserved } = await read<{ routes: RouteRow[]; unserved: { id: string }[] }>("routes");
    const of = (name: string): RouteRow | undefined => routes.find(({ id }) => id === `default/${name}`);
    const shares = of("chat")?.targets.map(({ share }) => share ?? 0) ?? [];
    assert.ok(
      Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-9 && (shares[0] ?? 0) > (shares[1] ?? 0),
    );
    assert.deepEqual([of("summaries")?.canary?.target, of("summaries")?.canary?.percent], ["candidate", 20]);
    assert.equal([...routes, ...unserved].filter(({ id }) => id === "default/broken").length, 1);
  });

  it("shows keys with owner, role and last use", async () => {
    const { keys, total } = await read<KeysView>("keys");
    const alice = keys.find(({ id }) => id === "default/alice");
    assert.equal(total, 6);
    assert.deepEqual(
      [alice?.user, alice?.team, alice?.role, alice?.state],
      ["alice@example.com", "search", "developer", "in use"],
    );
    assert.ok((alice?.lastUsedMs ?? 0) > 0 && (alice?.requests ?? 0) > 1_000);
    assert.equal(keys.find(({ id }) => id === "default/retired")?.state, "revoked");
    assert.deepEqual(
      (await read<KeysView>("keys?search=chen")).keys.map(({ id }) => id),
      ["default/chen"],
    );
  });

  it("shows budgets, the most urgent first, with who spends", async () => {
    const { budgets } = await read<{ budgets: BudgetRow[] }>("budgets");
    assert.deepEqual([budgets[0]?.id, budgets[0]?.state], ["default/support-daily", "used up"]);
    const each = budgets.find(({ id }) => id === "default/each-user");
    assert.ok(each?.groups.some(({ subject }) => subject === "alice@example.com"));
  });

  it("sums cost by each grouping to the same total, and as CSV", async () => {
    const sums = new Set<number>();
    for (const by of ["user", "team", "model", "provider", "key", "route", "role", "namespace"]) {
      const view = await read<CostView>(`cost?by=${by}&period=7d`);
      assert.equal(view.by, by);
      assert.equal(
        view.rows.reduce((sum, { costNanoUsd }) => sum + costNanoUsd, 0),
        view.sum.costNanoUsd,
      );
      sums.add(view.sum.costNanoUsd);
    }
    assert.equal(sums.size, 1);
    const csv = await fetch(`${scene.url}api/cost.csv?by=team`);
    assert.match(csv.headers.get("content-disposition") ?? "", /attachment; filename="sluice-cost-by-team-7d.csv"/);
    assert.match(await csv.text(), /^team,requests,errors,input_tokens,cached_tokens,output_tokens,cost_usd\r\n/);
  });

  it("explains recent calls", async () => {
    const { calls } = await read<{ calls: ExplainedCall[] }>("requests");
    const words = (call: ExplainedCall | undefined): string => call?.why.map(({ text }) => text).join(" ") ?? "";
    const refused = calls.find(({ code }) => code === "budget_exceeded");
    assert.match(words(refused), /429 budget_exceeded/);
    const moved = calls.find(({ attempts }) => attempts.length === 2);
    assert.match(words(moved), /mistral-fr, mistral-large: not available.*openai-eu, gpt-4o: answered/);
    assert.match(words(moved), /the targets before it did not answer/);
    assert.match(words(calls.find(({ cache }) => cache === "hit")), /Answered from the cache/);
    assert.match(words(calls.find(({ masked }) => (masked?.["Email"] ?? 0) > 0)), /Masked: 1 Email/);
  });

  it("shows what policies do for compliance, and what was masked and refused", async () => {
    const { policies, masked, refusals } = await read<ComplianceView>("compliance");
    const chat = policies.find(({ id }) => id === "default/chat");
    assert.deepEqual([chat?.masks, chat?.regions?.toSorted()], [["Email"], ["eu-north", "eu-west"]]);
    assert.deepEqual(masked, [{ type: "Email", values: 1 }]);
    assert.ok(refusals.some(({ code }) => code === "prompt_denied"));
  });

  it("shows the revision on each proxy, and why an object is not served", async () => {
    const { proxies, objects, revision } = await read<ConfigView>("config");
    assert.deepEqual([proxies[0]?.revision, proxies[0]?.current], [revision, true]);
    const broken = objects.find(({ id }) => id === "default/broken");
    assert.deepEqual([broken?.state, broken?.why], ["failed", "LLMProvider nowhere is not in namespace default"]);
  });

  it("limits every page to a namespace", async () => {
    for (const name of names.filter((name) => name !== "session")) {
      const text = JSON.stringify(await read(`${name}?namespace=elsewhere`));
      assert.doesNotMatch(text, /default\/|@example\.com/, name);
    }
  });
});

it("is not served where other machines reach the status port", async (context) => {
  const gateway = await startGateway([], ["--status-host", "0.0.0.0"]);
  context.after(() => gateway.close());
  const url = gateway.statusUrl.replace(/\/\/[^:]+:/, "//127.0.0.1:");
  const headers = { authorization: `Bearer ${/x-sluice-status-token: (\S+)/.exec(gateway.printed.join("\n"))?.[1]}` };
  assert.equal((await fetch(`${url}/status`, { headers })).status, 200);
  assert.equal((await fetch(`${url}/console/`, { headers })).status, 404);
  // What the console reads is behind the token.
  assert.equal((await fetch(`${url}/requests`)).status, 401);
});
