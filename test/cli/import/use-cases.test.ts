/**
 * The operations guide's configuration, imported as it is, serves the guide's three use cases: cost under control, an
 * answer when providers fail, and rules of compliance.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stringify } from "yaml";
import { objectManifest } from "../../../cli/import/manifests.ts";
import { removeFolder, temporaryFolder } from "../../harness/child.ts";
import { type Manifest, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { json, openai, startUpstream, type Upstream } from "../../harness/upstream.ts";
import { guideConfig, rbacConfig } from "./cases/ai-gateway.ts";
import { importCase } from "./check.ts";

const clearOf = (name: string): string => `slc_${name}_key_for_this_test`;
const extra = `
cost_management: { budgets: { per_user: { daily: 0.02 } }, alert_thresholds: [80, 100] }
security: { pii_masking: { enabled: true, patterns: [email, credit_card] } }
`;

describe("the guide's use cases, after import", () => {
  let upstreams: Record<"primary" | "secondary" | "fallback", Upstream>;
  let gateway: TestGateway;
  let folder: string;

  before(async () => {
    folder = await temporaryFolder("use-cases");
    const [primary, secondary, fallback] = [await startUpstream(), await startUpstream(), await startUpstream()];
    upstreams = { primary, secondary, fallback };
    // The providers of the guide, at addresses of this test. The third speaks OpenAI's format, to need no token service.
    const config = guideConfig
      .replace("https://api.openai.com", primary.url)
      .replace("https://your-resource.openai.azure.com", secondary.url)
      .replace("https://us-south.ml.cloud.ibm.com", `${fallback.url}/v1`)
      .replace("type: watsonx", "type: openai-compatible")
      .replace("retry_attempts: 3", "retry_attempts: 1");
    const rbac = rbacConfig
      .replace("10.0.0.0/8, 127.0.0.0/8", "127.0.0.0/8")
      .replace(/ {2}allowed_countries.*\n {2}time_restrictions.*\n/, "");
    const { manifests } = importCase({
      source: "ai-gateway",
      files: { "ai-gateway-config.yaml": config + extra, "rbac-config.yaml": rbac },
    });
    const settings = join(folder, "settings.yaml");
    await writeFile(settings, stringify(manifests.helmValues));
    const objects = manifests.objects.map((object) => objectManifest(object, "default") as Manifest);
    const priced = objects.map((object) => (object.kind === "LLMProvider" ? withPrices(object) : object));
    gateway = await startGateway(
      [
        ...priced,
        ...manifests.secrets.map(({ name }) => secret(name, { apiKey: `key-of-${name}` })),
        secret("alice-example.com-llm-key", { apiKey: clearOf("alice") }),
        secret("bob-example.com-llm-key", { apiKey: clearOf("bob") }),
      ],
      ["--settings", settings],
    );
    assert.deepEqual(
      gateway.printed.filter((line) => / error /.test(line)),
      [],
    );
  });
  after(async () => {
    await gateway.close();
    await Promise.all(Object.values(upstreams).map((upstream) => upstream.close()));
    await removeFolder(folder);
  });

  const withPrices = (object: Manifest): Manifest => {
    const spec = object["spec"] as { models: object[] };
    const price = { inputPerMillion: "100", outputPerMillion: "100" };
    return { ...object, spec: { ...spec, models: spec.models.map((model) => ({ ...model, price })) } };
  };

  async function call(
    who: string,
    content: string,
    more: object = {},
  ): Promise<{ status: number; code: string; provider: string | null }> {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clearOf(who)}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4", max_tokens: 5, messages: [{ role: "user", content }], ...more }),
    });
    const body = (await response.json()) as { error?: { code: string } };
    return { status: response.status, code: body.error?.code ?? "", provider: response.headers.get("x-provider-used") };
  }

  it("masks personal data before it leaves, and refuses roles without the permission", async () => {
    assert.equal((await call("alice", "Write to alice@example.com about 4111 1111 1111 1111.")).status, 200);
    const sent = upstreams.primary.requests.at(-1)?.text ?? "";
    assert.doesNotMatch(sent, /alice@example\.com|4111/);
    assert.match(sent, /\[EMAIL\].*\[CREDIT_CARD\]/);
    assert.deepEqual(await call("bob", "Hello!"), { status: 403, code: "permission_denied", provider: null });
    assert.equal((await call("alice", "Hello!", { model: "ibm/granite-13b-chat-v2" })).code, "model_not_allowed");
  });

  it("goes to the next provider on a rate limit, an outage and a wish, and to the last when both fail", async () => {
    const { primary, secondary } = upstreams;
    assert.match((await call("alice", "Hello!")).provider ?? "", /primary$/);
    assert.match((await call("alice", "Hello!", { prefer_provider: "secondary" })).provider ?? "", /secondary$/);
    primary.answer((_, response) =>
      json(response, 429, { error: { message: "slow down", code: "rate_limit_exceeded" } }),
    );
    assert.match((await call("alice", "Hello!")).provider ?? "", /secondary$/);
    assert.match(String(secondary.requests.at(-1)?.headers["api-key"]), /^key-of-secondary$/);
    secondary.answer((_, response) => json(response, 503, { error: { message: "down" } }));
    const last = await call("alice", "Hello!");
    assert.match(last.provider ?? "", /fallback$/);
    assert.equal(upstreams.fallback.requests.at(-1)?.json["model"], "ibm/granite-13b-chat-v2");
    primary.answer(openai);
    secondary.answer(openai);
  });

  it("refuses a user whose money of the day is used up", async () => {
    let last = await call("alice", "Hello!");
    for (let count = 0; count < 40 && last.status === 200; count++) last = await call("alice", "Hello!");
    assert.deepEqual([last.status, last.code], [429, "budget_exceeded"]);
  });
});
