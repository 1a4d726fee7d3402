import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { ClientTokens } from "../../../proxy/identity/client-tokens.ts";
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
import fc from "../../harness/property.ts";
import { startUpstream, type Upstream } from "../../harness/upstream.ts";

const page = "https://chat.example.com";
const alice = "slc_alice_key_0001";
const bob = "slc_bob_key_000001";
const carol = "slc_carol_key_0001";

describe("client tokens", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let folder: string;

  const manifests = (aliceSpec: object = {}): Manifest[] => [
    provider("up", upstream.url, { models: [{ name: "gpt-4o" }, { name: "gpt-4o-mini" }] }),
    secret("up-credentials", { apiKey: "sk-upstream" }),
    policy("chat", {
      match: { models: ["gpt-4o", "gpt-4o-mini"] },
      routing: { targets: [{ provider: { name: "up" } }] },
    }),
    ...key("alice", alice, { clientTokens: { origins: [page], maxLifetime: "1h" }, ...aliceSpec }),
    ...key("bob", bob, { clientTokens: { maxLifetime: "60s" }, models: ["gpt-4o-mini"] }),
    ...key("carol", carol),
  ];

  before(async () => {
    folder = await temporaryFolder("tokens");
    await writeFile(join(folder, "settings.yaml"), stringify({ cors: { allowedOrigins: [page] } }));
    upstream = await startUpstream();
    gateway = await startGateway(manifests(), ["--settings", join(folder, "settings.yaml")]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    removeFolder(folder);
  });

  const post = (path: string, bearer: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${gateway.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const mint = async (bearer: string, body: unknown, headers: Record<string, string> = {}) => {
    const answer = await post("/v1/sluice/tokens", bearer, body, headers);
    return {
      status: answer.status,
      body: (await answer.json()) as {
        token: string;
        expires_in: number;
        error?: { code: string; param: string | null };
      },
    };
  };
  const call = async (bearer: string, model = "gpt-4o", headers: Record<string, string> = {}) => {
    const answer = await post(
      "/v1/chat/completions",
      bearer,
      { model, messages: [{ role: "user", content: "Hi" }] },
      headers,
    );
    return `${answer.status} ${((await answer.json()) as { error?: { code: string } }).error?.code ?? "ok"}`;
  };

  it("act with the rights of the key that made them, from the page they are for", async () => {
    const { status, body } = await mint(alice, { origin: page, expires_in: 120 });
    assert.deepEqual([status, body.expires_in], [200, 120]);
    assert.match(body.token, /^slt_[\w-]+\.[\w-]{43}$/);
    assert.equal(await call(body.token, "gpt-4o", { origin: page }), "200 ok");
    assert.equal(await call(body.token, "gpt-4o", { origin: "https://evil.example.com" }), "403 origin_not_allowed");
    assert.equal(await call(body.token), "403 origin_not_allowed");
    const line = await eventually(() => gateway.logs.find((log) => log["code"] === "origin_not_allowed"));
    assert.deepEqual([line["user"], line["key"]], ["alice@example.com", "default/alice"]);
    assert.ok(!gateway.logText().includes(body.token.slice(-43)));
  });

  it("can be for fewer models, and never for more", async () => {
    const narrow = await mint(alice, { origin: page, models: ["gpt-4o-mini"] });
    assert.equal(await call(narrow.body.token, "gpt-4o-mini", { origin: page }), "200 ok");
    assert.equal(await call(narrow.body.token, "gpt-4o", { origin: page }), "403 model_not_allowed");
    const listed = await fetch(`${gateway.url}/v1/models`, {
      headers: { authorization: `Bearer ${narrow.body.token}`, origin: page },
    });
    assert.deepEqual(
      ((await listed.json()) as { data: { id: string }[] }).data.map((one) => one.id),
      ["gpt-4o-mini"],
    );
    const wide = await mint(bob, { models: ["gpt-4o"] });
    assert.deepEqual([wide.status, wide.body.error?.code], [403, "model_not_allowed"]);
    const unserved = await mint(alice, { origin: page, models: ["gpt-4o", "nope"] });
    assert.deepEqual([unserved.status, unserved.body.error?.code], [404, "model_not_found"]);
  });

  const beyond: [method: string, path: string][] = [
    ["GET", "/v1/files"],
    ["POST", "/v1/files"],
    ["GET", "/v1/files/file-1"],
    ["GET", "/v1/files/file-1/content"],
    ["DELETE", "/v1/files/file-1"],
    ["POST", "/v1/batches"],
    ["GET", "/v1/batches"],
    ["POST", "/v1/batches/batch_1/cancel"],
    ["POST", "/v1/fine_tuning/jobs"],
    ["GET", "/v1/sluice/usage"],
    ["POST", "/v1/sluice/tokens"],
  ];
  for (const [method, path] of beyond) {
    it(`that are for models don't reach ${method} ${path}`, async () => {
      const before = upstream.requests.length;
      const { body } = await mint(alice, { origin: page, models: ["gpt-4o"] });
      const answer = await fetch(`${gateway.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${body.token}`, origin: page, "content-type": "application/json" },
        ...(method === "POST" ? { body: "{}" } : {}),
      });
      const { error } = (await answer.json()) as { error: { code: string } };
      assert.deepEqual([answer.status, error.code], [403, "access_denied"]);
      assert.equal(upstream.requests.length, before);
    });
  }

  it("live no longer than their key lets them", async () => {
    assert.equal((await mint(bob, { expires_in: 3600 })).body.expires_in, 60);
    assert.equal((await mint(alice, { origin: page, expires_in: 1_000_000 })).body.expires_in, 3600);
  });

  const refused: [what: string, bearer: string, body: unknown, status: number, code: string, param?: string][] = [
    ["without a key", "slc_nobody_key_0001", {}, 401, "invalid_api_key"],
    ["with a key that may not", carol, {}, 403, "access_denied"],
    [
      "for a page that the key may not serve",
      alice,
      { origin: "https://evil.example.com" },
      403,
      "origin_not_allowed",
      "origin",
    ],
    ["for no page where the key is bound to some", alice, {}, 403, "origin_not_allowed", "origin"],
    ["for a model that no policy serves", alice, { models: ["nope"] }, 404, "model_not_found", "models"],
    ["with a lifetime that is none", bob, { expires_in: 0 }, 400, "invalid_value", "expires_in"],
    ["with a field that is unknown", bob, { role: "admin" }, 400, "invalid_value"],
    ["with a body that is no JSON", bob, "{", 400, "invalid_json"],
    [
      "with a body that is large",
      bob,
      { models: Array.from({ length: 2000 }, (_, at) => `model-${at}`) },
      413,
      "request_too_large",
    ],
  ];
  for (const [what, bearer, body, status, code, param] of refused) {
    it(`are not made ${what}: ${code}`, async () => {
      const answer = await mint(bearer, body);
      assert.deepEqual([answer.status, answer.body.error?.code], [status, code]);
      if (param !== undefined) assert.equal(answer.body.error?.param, param);
    });
  }

  it("make no others", async () => {
    const { body } = await mint(bob, {});
    const second = await mint(body.token, {});
    assert.deepEqual([second.status, second.body.error?.code], [403, "access_denied"]);
  });

  it("are worth nothing once a bit of them is changed, or another gateway made them", async () => {
    const { body } = await mint(bob, { models: ["gpt-4o-mini"] });
    assert.equal(await call(body.token, "gpt-4o-mini"), "200 ok");
    for (const at of [4, 20, body.token.indexOf(".") - 2, body.token.indexOf(".") + 3]) {
      const letter = body.token[at] === "A" ? "B" : "A";
      assert.equal(
        await call(body.token.slice(0, at) + letter + body.token.slice(at + 1), "gpt-4o-mini"),
        "401 invalid_token",
      );
    }
    const [claims = "", signature = ""] = body.token.slice(4).split(".");
    const widened = Buffer.from(
      JSON.stringify({ ...(JSON.parse(Buffer.from(claims, "base64url").toString()) as object), models: null }),
    ).toString("base64url");
    assert.equal(await call(`slt_${widened}.${signature}`, "gpt-4o-mini"), "401 invalid_token");
    const foreign = new ClientTokens(new Uint8Array(32)).mint(
      { key: "default/alice", models: null, origin: null, expiresAtMs: Date.now() + 60_000 },
      "0".repeat(64),
    );
    for (const token of [foreign, "slt_", "slt_.", "slt_a.b", `slt_${signature}`])
      assert.equal(await call(token, "gpt-4o-mini"), "401 invalid_token");
  });

  it("die with their key, and with a change of its value", async () => {
    const { body } = await mint(alice, { origin: page });
    const use = () => call(body.token, "gpt-4o", { origin: page });
    assert.equal(await use(), "200 ok");
    await gateway.apply(manifests({ revoked: true }));
    assert.equal(await use(), "401 revoked_api_key");
    await gateway.apply(manifests());
    assert.equal(await use(), "200 ok");
    await gateway.apply(
      manifests().map((manifest) =>
        manifest.metadata.name === "alice-key" ? secret("alice-key", { apiKey: "slc_alice_key_0002" }) : manifest,
      ),
    );
    assert.equal(await use(), "401 invalid_token");
    await gateway.apply(manifests({ clientTokens: undefined }));
    assert.equal(await use(), "401 invalid_token");
    await gateway.apply(manifests());
  });

  it("open to what was minted, for any claims, and to nothing where the pepper is another", () => {
    const mine = new ClientTokens(Buffer.from("pepper"));
    const theirs = new ClientTokens(Buffer.from("another"));
    fc.assert(
      fc.property(
        fc.string(),
        fc.option(fc.array(fc.string())),
        fc.option(fc.string()),
        fc.integer({ min: 0 }),
        fc.string(),
        (id, models, origin, expiresAtMs, other) => {
          const token = mine.mint({ key: id, models, origin, expiresAtMs }, "digest");
          const opened = mine.open(token);
          assert.deepEqual(
            [opened?.key, opened?.models, opened?.origin, opened?.expiresAtMs],
            [id, models, origin, expiresAtMs],
          );
          assert.equal(opened?.isOf("digest"), true);
          assert.equal(opened?.isOf("another"), false);
          assert.equal(theirs.open(token), null);
          assert.equal(mine.open(other), null);
        },
      ),
    );
  });
});

describe("pages of other origins", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let folder: string;
  before(async () => {
    folder = await temporaryFolder("cors");
    await writeFile(
      join(folder, "settings.yaml"),
      stringify({ cors: { allowedOrigins: [page, "http://localhost:5173"] } }),
    );
    upstream = await startUpstream();
    gateway = await startGateway(
      [
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: "sk-upstream" }),
        policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        ...key("alice", alice),
      ],
      ["--settings", join(folder, "settings.yaml")],
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    removeFolder(folder);
  });

  const preflight = (origin: string, headers = "authorization,content-type,x-stainless-lang"): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": headers },
    });

  it("that are allowed get their preflight answered without a key", async () => {
    const answer = await preflight(page);
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get("access-control-allow-origin"), page);
    assert.equal(answer.headers.get("access-control-allow-headers"), "authorization,content-type,x-stainless-lang");
    assert.match(answer.headers.get("access-control-allow-methods") ?? "", /POST/);
    assert.equal(answer.headers.get("access-control-allow-credentials"), null);
    assert.match(answer.headers.get("vary") ?? "", /origin/i);
    assert.equal((await preflight("http://localhost:5173")).status, 204);
  });

  for (const origin of [
    "https://evil.example.com",
    "https://chat.example.com.evil.example",
    "http://chat.example.com",
    "https://chat.example.com:8443",
    "null",
  ]) {
    it(`such as ${origin} are refused, without a header that would let them read it`, async () => {
      const answer = await preflight(origin);
      assert.deepEqual(
        [answer.status, ((await answer.json()) as { error: { code: string } }).error.code],
        [403, "origin_not_allowed"],
      );
      assert.equal(answer.headers.get("access-control-allow-origin"), null);
      const line = await eventually(() => gateway.logs.find((log) => log["code"] === "origin_not_allowed"));
      assert.deepEqual([line["address"], line["operation"]], ["127.0.0.1", "preflight"]);
      const called = await fetch(`${gateway.url}/v1/models`, { headers: { origin, authorization: `Bearer ${alice}` } });
      assert.equal(called.headers.get("access-control-allow-origin"), null);
    });
  }

  it("can read answers, streams and refusals", async () => {
    const call = (bearer: string, stream: boolean): Promise<Response> =>
      fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { origin: page, authorization: `Bearer ${bearer}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", stream, messages: [{ role: "user", content: "Hi" }] }),
      });
    for (const answer of [await call(alice, false), await call(alice, true), await call("slc_unknown", false)]) {
      assert.equal(answer.headers.get("access-control-allow-origin"), page);
      assert.match(answer.headers.get("access-control-expose-headers") ?? "", /x-request-id/);
      await answer.arrayBuffer();
    }
  });

  it("can't smuggle a header through the list that is echoed", async () => {
    const answer = await preflight(page, "authorization, x<script>");
    assert.equal(answer.headers.get("access-control-allow-headers"), null);
  });
});
