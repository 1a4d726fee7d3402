import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { countriesFrom } from "../../../proxy/access/countries.ts";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../../harness/gateway.ts";
import { countryDatabase } from "../../harness/mmdb.ts";
import { json, openai, startUpstream, type Upstream } from "../../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const berlin = "203.0.113.5";
const paris = "198.51.100.5";
const boston = "2001:db8:5::1";
const nowhere = "192.0.2.77";

const served = (name: string, access: object, target = "up"): Manifest =>
  policy(name, {
    match: { models: [name] },
    access,
    routing: { targets: [{ provider: { name: target }, model: "gpt-4o" }] },
  });

/** A window that holds now, or one that doesn't, whatever the time. */
function hours(open: boolean): object {
  const at = (ms: number): string => new Date(Date.now() + ms).toISOString().slice(11, 16);
  const hour = 3_600_000;
  return open
    ? { from: at(-2 * hour), to: at(2 * hour), timeZone: "UTC" }
    : { from: at(2 * hour), to: at(4 * hour), timeZone: "UTC" };
}

describe("rules of access", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let folder: string;

  before(async () => {
    folder = await temporaryFolder("access");
    await writeFile(
      join(folder, "country.mmdb"),
      countryDatabase({ "203.0.113.0/24": "DE", "198.51.100.0/24": "FR", "2001:db8:5::/48": "US" }),
    );
    await writeFile(
      join(folder, "settings.yaml"),
      stringify({ origins: { trustedProxies: ["127.0.0.1"], countryHeader: "x-country" } }),
    );
    upstream = await startUpstream();
    gateway = await startGateway(
      [
        provider("up", upstream.url, { region: "eu-central-1", models: [{ name: "gpt-4o" }] }),
        secret("up-credentials", { apiKey: "sk-upstream" }),
        served("anywhere", {}),
        served("office", { networks: ["203.0.113.0/24", "2001:db8:5::/48"] }),
        served("allowed", { countries: { allow: ["DE", "US"] } }),
        served("denied", { countries: { deny: ["DE"] } }),
        served("open-now", { hours: hours(true) }),
        served("closed-now", { hours: hours(false) }),
        served("agreed", { consent: { header: "x-consent" } }),
        served("agreed-to-v2", { consent: { header: "x-terms", value: "v2" } }),
        served("admins", { roles: ["admin"], networks: ["203.0.113.0/24"] }),
        policy("public", {
          match: { pathPrefix: "/public" },
          access: { anonymous: true, networks: ["203.0.113.0/24"] },
          routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
        }),
        ...key("alice", clear),
      ],
      ["--settings", join(folder, "settings.yaml"), "--country-database", join(folder, "country.mmdb")],
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    removeFolder(folder);
  });

  const call = (model: string, headers: Record<string, string>, path = "/v1/chat/completions"): Promise<Response> =>
    fetch(`${gateway.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
    });
  const from = (address: string): Record<string, string> => ({ "x-forwarded-for": address });

  const rows: [model: string, headers: Record<string, string>, expected: "ok" | string][] = [
    ["anywhere", from(nowhere), "ok"],
    ["office", from(berlin), "ok"],
    ["office", from(boston), "ok"],
    ["office", from(`::ffff:${berlin}`), "ok"],
    ["office", from(paris), "network_not_allowed"],
    ["office", {}, "network_not_allowed"],
    ["office", from("unknown"), "network_not_allowed"],
    ["office", from(`${berlin}, ${paris}`), "network_not_allowed"],
    ["office", { forwarded: `for=${berlin}` }, "network_not_allowed"],
    ["allowed", from(berlin), "ok"],
    ["allowed", from(boston), "ok"],
    ["allowed", from(paris), "country_not_allowed"],
    ["allowed", from(nowhere), "country_unknown"],
    ["allowed", { ...from(paris), "x-country": "US" }, "ok"],
    ["allowed", { ...from(berlin), "x-country": "XX" }, "ok"],
    ["denied", from(paris), "ok"],
    ["denied", from(berlin), "country_not_allowed"],
    ["denied", from(nowhere), "country_unknown"],
    ["denied", { ...from(paris), "x-country": "DE" }, "country_not_allowed"],
    ["open-now", from(nowhere), "ok"],
    ["closed-now", from(nowhere), "outside_allowed_hours"],
    ["agreed", { ...from(nowhere), "x-consent": "true" }, "ok"],
    ["agreed", { ...from(nowhere), "x-consent": "false" }, "consent_required"],
    ["agreed", from(nowhere), "consent_required"],
    ["agreed-to-v2", { ...from(nowhere), "x-terms": "v2" }, "ok"],
    ["agreed-to-v2", { ...from(nowhere), "x-terms": "v1" }, "consent_required"],
    ["admins", from(berlin), "access_denied"],
  ];
  for (const [model, headers, expected] of rows) {
    it(`${model} with ${JSON.stringify(headers)}: ${expected}`, async () => {
      const before = upstream.requests.length;
      const answer = await call(model, headers);
      const body = (await answer.json()) as { error?: { code: string; message: string } };
      assert.equal(body.error?.code ?? "ok", expected);
      assert.equal(answer.status, expected === "ok" ? 200 : 403);
      assert.equal(upstream.requests.length - before, expected === "ok" ? 1 : 0);
      if (expected !== "ok")
        assert.equal(answer.headers.get("x-should-retry"), expected === "access_denied" ? null : "false");
    });
  }

  it("hold for callers without a key as well", async () => {
    const open = (headers: Record<string, string>) =>
      fetch(`${gateway.url}/public`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ model: "gpt-4o", messages: [] }),
      });
    assert.equal((await open(from(berlin))).status, 200);
    const refused = await open(from(paris));
    assert.deepEqual(
      [refused.status, ((await refused.json()) as { error: { code: string } }).error.code],
      [403, "network_not_allowed"],
    );
  });

  it("keep models out of the list where they can't be called from", async () => {
    const list = async (headers: Record<string, string>) => {
      const answer = await fetch(`${gateway.url}/v1/models`, {
        headers: { authorization: `Bearer ${clear}`, ...headers },
      });
      return ((await answer.json()) as { data: { id: string }[] }).data.map((one) => one.id);
    };
    assert.deepEqual(await list(from(paris)), ["agreed", "agreed-to-v2", "anywhere", "denied", "open-now"]);
    assert.deepEqual(await list(from(berlin)), ["agreed", "agreed-to-v2", "allowed", "anywhere", "office", "open-now"]);
  });

  it("count every refusal by reason, and log who was refused from where", async () => {
    const answer = await call("office", { ...from(paris), "x-request-id": "refused-1" });
    await answer.arrayBuffer();
    const line = await eventually(() => gateway.logs.find((log) => log["request_id"] === "refused-1"));
    assert.deepEqual(
      [line["code"], line["user"], line["address"], line["route"]],
      ["network_not_allowed", "alice@example.com", paris, "default/office"],
    );
    const metrics = await gateway.metrics();
    for (const reason of [
      "network_not_allowed",
      "country_not_allowed",
      "country_unknown",
      "outside_allowed_hours",
      "consent_required",
      "access_denied",
    ])
      assert.match(metrics, new RegExp(`ai_gateway_unauthorized_attempts\\{reason="${reason}"\\} [1-9]`));
    for (const address of [paris, berlin, boston, nowhere]) assert.ok(!metrics.includes(address));
  });
});

describe("the country database", () => {
  it("is read again when it is replaced, and stays in use when the new one is broken", async () => {
    const folder = await temporaryFolder("countries");
    const file = join(folder, "country.mmdb");
    const replace = async (content: Buffer | string): Promise<void> => {
      await writeFile(`${file}.next`, content);
      await rename(`${file}.next`, file);
    };
    await replace(countryDatabase({ "203.0.113.0/24": "DE" }));
    const failures: unknown[] = [];
    const countries = await countriesFrom(file, 5, (cause) => failures.push(cause));
    assert.equal(countries.of(berlin), "DE");
    assert.equal(countries.of(paris), null);
    await replace(countryDatabase({ "203.0.113.0/24": "AT" }));
    await eventually(() => countries.of(berlin) === "AT");
    await replace("no database");
    await eventually(() => failures.length > 0);
    assert.equal(countries.of(berlin), "AT");
    countries.close();
    removeFolder(folder);
  });

  it("that is not there keeps the proxy from starting", async () => {
    await assert.rejects(startGateway([], ["--country-database", "/nonexistent/country.mmdb"]), /country\.mmdb/);
  });
});

describe("residency", () => {
  let eu: Upstream;
  let us: Upstream;
  let gateway: TestGateway;
  const target = (name: string, priority: number) => ({ provider: { name }, model: "gpt-4o", priority });
  const up = (name: string, url: string, region: string | null): Manifest[] => [
    provider(name, url, {
      models: [{ name: "gpt-4o" }],
      retry: { attempts: 2, initialDelay: "1ms" },
      ...(region === null ? {} : { region }),
    }),
    secret(`${name}-credentials`, { apiKey: `sk-${name}` }),
  ];

  before(async () => {
    eu = await startUpstream();
    us = await startUpstream();
    gateway = await startGateway([
      ...up("frankfurt", eu.url, "eu-central-1"),
      ...up("virginia", us.url, "us-east-1"),
      ...up("somewhere", us.url, null),
      ...["Priority", "RoundRobin", "Weighted", "LeastLatency", "LeastCost"].map((strategy) =>
        policy(strategy.toLowerCase(), {
          match: { models: [strategy.toLowerCase()] },
          access: { residency: { regions: ["eu-central-1", "eu-west-1"] } },
          routing: {
            strategy,
            targets: [target("virginia", 1), target("somewhere", 1), target("frankfurt", 2)],
            rules: [{ when: { headers: [{ name: "x-us", value: "1" }] }, use: ["virginia"] }],
          },
        }),
      ),
      policy("pinned", {
        match: { models: ["pinned"] },
        access: { residency: { regions: ["eu-central-1"] } },
        request: { overrides: { inference_geo: "eu" } },
        routing: { targets: [target("frankfurt", 1)] },
      }),
      policy("anywhere", { match: { models: ["anywhere"] }, routing: { targets: [target("virginia", 1)] } }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await eu.close();
    await us.close();
  });

  const call = (
    model: string,
    headers: Record<string, string> = {},
    more: Record<string, unknown> = {},
  ): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json", ...headers },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], ...more }),
    });

  for (const model of ["priority", "roundrobin", "weighted", "leastlatency", "leastcost"]) {
    it(`holds with ${model}, whatever a caller prefers, a rule says, and when the only resident provider fails`, async () => {
      for (const headers of [{}, { "x-prefer-provider": "virginia" }, { "x-us": "1" }, {}]) {
        await (await call(model, headers)).arrayBuffer();
      }
      const refused = eu.requests.length;
      eu.answer((_request, response) => json(response, 503, { error: { message: "later" } }));
      const failed = await call(model);
      assert.equal(failed.status, 503);
      assert.ok(eu.requests.length > refused);
      eu.answer(openai);
      assert.equal(us.requests.length, 0);
    });
  }

  for (const [model, sent] of [
    ["priority", null],
    ["pinned", "eu"],
    ["anywhere", "global"],
  ] as const) {
    it(`holds for where a body says that the provider shall process it, with ${model}`, async () => {
      const before = [eu.requests.length, us.requests.length];
      const answer = await call(model, {}, { inference_geo: "global" });
      const seen = [...eu.requests.slice(before[0]), ...us.requests.slice(before[1])];
      assert.equal(answer.status, sent === null ? 400 : 200);
      if (sent === null) assert.match(await answer.text(), /unsupported_parameter/);
      assert.deepEqual(
        seen.map((one) => one.json["inference_geo"]),
        sent === null ? [] : [sent],
      );
    });
  }

  it("that no target can meet is refused when the policy is compiled, and nothing is sent", async () => {
    const stuck = (regions: string[]) =>
      policy("stuck", {
        match: { models: ["stuck"] },
        ...(regions.length > 0 ? { access: { residency: { regions } } } : {}),
        routing: { targets: [target("virginia", 1)] },
      });
    const others = [
      ...up("frankfurt", eu.url, "eu-central-1"),
      ...up("virginia", us.url, "us-east-1"),
      ...key("alice", clear),
    ];
    await gateway.apply([...others, stuck([])]);
    assert.equal((await call("stuck")).status, 200);
    const before = us.requests.length;
    await gateway.apply([...others, stuck(["eu-central-1"])]);
    assert.match(
      gateway.printed.join("\n"),
      /NotResident: target virginia is never used: LLMProvider default\/virginia processes data in us-east-1, and spec.access.residency allows eu-central-1 only/,
    );
    const answer = await call("stuck");
    assert.notEqual(answer.status, 200);
    assert.equal(us.requests.length, before);
  });
});
