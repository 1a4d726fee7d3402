/** A caller of LiteLLM keeps its key: the table's hash, imported, lets the same key in. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { it } from "node:test";
import { objectManifest } from "../../../cli/import/manifests.ts";
import { type Manifest, secret, startGateway } from "../../harness/gateway.ts";
import { startUpstream } from "../../harness/upstream.ts";
import { importCase } from "./check.ts";

const clear = "sk-Vb3kQ9xTz1LmN7pRw5Yc2A";

it("an imported virtual key goes on working, with its models and limits", async (context) => {
  const upstream = await startUpstream();
  context.after(() => upstream.close());
  const token = createHash("sha256").update(clear).digest("hex");
  const { manifests } = importCase({
    source: "litellm",
    files: {
      "config.yaml": `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_base: "${upstream.url}/v1", api_key: os.environ/upstream_key }
  - model_name: gpt-4o-mini
    litellm_params: { model: openai/gpt-4o-mini, api_base: "${upstream.url}/v1", api_key: os.environ/upstream_key }
`,
      "keys.csv": `token,key_alias,user_id,models,rpm_limit\n${token},web,alice@example.com,{gpt-4o},1\n`,
    },
  });
  assert.deepEqual([...(manifests.secrets[0]?.values ?? [])], [["apiKey", { env: "upstream_key" }]]);
  const gateway = await startGateway([
    ...manifests.objects.map((object) => objectManifest(object, "default") as Manifest),
    ...manifests.secrets.map(({ name }) => secret(name, { apiKey: "key-of-the-provider" })),
  ]);
  context.after(() => gateway.close());
  const call = async (key: string, model: string): Promise<number> => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello!" }] }),
    });
    await response.arrayBuffer();
    return response.status;
  };
  assert.equal(await call(`${clear}x`, "gpt-4o"), 401);
  assert.equal(await call(clear, "gpt-4o-mini"), 403);
  assert.equal(await call(clear, "gpt-4o"), 200);
  assert.equal(await call(clear, "gpt-4o"), 429);
});
