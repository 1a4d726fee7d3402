/** Which role may do what: role × request. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { mintKey } from "../../proxy/config/key-form.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const roles = [
  "admin",
  "developer",
  "data-scientist",
  "readonly",
  "analyst",
  "intern",
  "auditor",
  "nobody-knows",
] as const;
const clearOf = (role: string): string => `slc_role_${role}_key_01`;

describe("roles", () => {
  let upstream: Upstream;
  let gateway: TestGateway;

  before(async () => {
    upstream = await startUpstream();
    const settings = join(tmpdir(), `sluice-roles-${process.pid}.yaml`);
    await writeFile(
      settings,
      stringify({
        roles: {
          analyst: { permissions: ["use_models"], models: ["small"] },
          intern: { permissions: ["use_models"], models: ["sm*"] },
          auditor: { permissions: ["view_all_requests"] },
          "data-scientist": { permissions: ["use_models"] },
        },
      }),
    );
    gateway = await startGateway(
      [
        provider("up", upstream.url, { models: [{ name: "small" }, { name: "large" }] }),
        secret("up-credentials", { apiKey: "sk" }),
        policy("all", { match: { models: ["small", "large"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        policy("open", {
          match: { pathPrefix: "/open" },
          access: { anonymous: true },
          routing: { targets: [{ provider: { name: "up" }, model: "small" }] },
        }),
        ...roles.flatMap((role) => key(role, clearOf(role), { role })),
      ],
      ["--settings", settings],
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  const call = (role: string, model: string, path = "/v1/chat/completions"): Promise<Response> =>
    fetch(gateway.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${clearOf(role)}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], max_tokens: 5 }),
    });

  const rows: [(typeof roles)[number], string, number, string | null][] = [
    ["admin", "large", 200, null],
    ["developer", "large", 200, null],
    ["data-scientist", "large", 200, null],
    ["readonly", "large", 403, "permission_denied"],
    ["analyst", "small", 200, null],
    ["analyst", "large", 403, "model_not_allowed"],
    ["intern", "small", 200, null],
    ["intern", "large", 403, "model_not_allowed"],
    ["auditor", "small", 403, "permission_denied"],
    ["nobody-knows", "small", 403, "unknown_role"],
  ];
  for (const [role, model, status, code] of rows) {
    it(`${role} asking for ${model} gets ${code ?? "an answer"}`, async () => {
      const response = await call(role, model);
      const body = (await response.json()) as { error?: { code: string; message: string } };
      assert.equal(response.status, status, JSON.stringify(body));
      assert.equal(body.error?.code ?? null, code);
    });

    it(`${role} asking for ${model} in Anthropic's format gets ${status}`, async () => {
      assert.equal((await call(role, model, "/v1/messages")).status, status);
    });
  }

  const listed: [(typeof roles)[number], string[]][] = [
    ["admin", ["large", "small"]],
    ["analyst", ["small"]],
    ["readonly", []],
    ["nobody-knows", []],
  ];
  for (const [role, models] of listed) {
    it(`${role} sees ${models.join(", ") || "no model"}`, async () => {
      const response = await fetch(`${gateway.url}/v1/models`, {
        headers: { authorization: `Bearer ${clearOf(role)}` },
      });
      assert.deepEqual(
        ((await response.json()) as { data: { id: string }[] }).data.map((one) => one.id),
        models,
      );
    });
  }

  it("a mistyped key gets a different error from an unknown key", async () => {
    const send = (clear: string): Promise<Response> =>
      fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${clear}` } });
    const codeOf = async (clear: string): Promise<string> =>
      ((await (await send(clear)).json()) as { error: { code: string } }).error.code;
    const made = mintKey(randomBytes(32));
    const slip = `${made.slice(0, 10)}${made[10] === "a" ? "b" : "a"}${made.slice(11)}`;
    assert.equal(await codeOf(made), "invalid_api_key");
    assert.equal(await codeOf(slip), "malformed_api_key");
    assert.equal(await codeOf(made.slice(0, -1)), "invalid_api_key");
  });

  it("a key with an unknown role is reported, and refusals are counted and logged", async () => {
    assert.match(
      gateway.printed.join("\n"),
      /RoleNotFound: this installation has no role nobody-knows.*its roles are: admin, analyst, auditor/,
    );
    await call("nobody-knows", "small");
    assert.match(await gateway.metrics(), /ai_gateway_unauthorized_attempts\{reason="unknown_role"\} [1-9]/);
    await eventually(() =>
      gateway.logs.some((line) => line["code"] === "unknown_role" && line["user"] === "nobody-knows@example.com"),
    );
  });
});
