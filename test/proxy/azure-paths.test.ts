/** Azure's SDKs with the gateway as their endpoint, whichever provider serves the model. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI, { AzureOpenAI } from "openai";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { sluice } from "../harness/sluice.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_azure_paths_key_0001";
const messages = [{ role: "user" as const, content: "Hi" }];

describe("paths of Azure's SDKs", () => {
  let upstream: Upstream;
  let gateway: TestGateway;

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      secret("up-credentials", { apiKey: "sk-test" }),
      provider("up", upstream.url, {
        options: { responses: "Translate" },
        models: [{ name: "chat", upstream: "gpt-4o" }, { name: "org/other" }, { name: "vectors" }],
      }),
      policy("main", {
        match: { models: ["chat", "org/other", "vectors"] },
        routing: { targets: [{ provider: { name: "up" } }] },
      }),
      policy("prefixed", {
        match: { pathPrefix: "/team-a", models: ["chat"] },
        routing: { targets: [{ provider: { name: "up" } }] },
      }),
      ...key("caller", clear),
    ]);
  });
  after(async () => {
    await gateway?.close();
    await upstream?.close();
  });

  const azure = (prefix = ""): AzureOpenAI =>
    new AzureOpenAI({ endpoint: gateway.url + prefix, apiKey: clear, apiVersion: "2024-10-21", maxRetries: 0 });
  const sent = (): Record<string, unknown> => upstream.requests.at(-1)?.json ?? {};

  for (const prefix of ["", "/team-a"]) {
    it(`serve chats below ${prefix || "the root"}, whole and streamed`, async () => {
      const whole = await azure(prefix).chat.completions.create({ model: "chat", messages });
      assert.equal(whole.choices[0]?.message.content, "Hello there");
      assert.equal(sent()["model"], "gpt-4o");
      let text = "";
      for await (const chunk of await azure(prefix).chat.completions.create({ model: "chat", messages, stream: true }))
        text += chunk.choices[0]?.delta.content ?? "";
      assert.equal(text, "Hello there");
    });
  }

  it("serve embeddings, responses, models, and names with a slash", async () => {
    assert.equal((await azure().embeddings.create({ model: "vectors", input: "Hi" })).data.length, 1);
    assert.equal((await azure().responses.create({ model: "chat", input: "Hi" })).output_text, "Hello there");
    assert.ok((await azure().models.list()).data.some(({ id }) => id === "chat"));
    await azure().chat.completions.create({ model: "org/other", messages });
    assert.equal(sent()["model"], "org/other");
  });

  it("serve /openai/v1, the address of Azure's newer API", async () => {
    const client = new OpenAI({ baseURL: `${gateway.url}/openai/v1`, apiKey: clear, maxRetries: 0 });
    assert.equal((await client.responses.create({ model: "chat", input: "Hi" })).output_text, "Hello there");
  });

  const post = (path: string, body: object, method = "POST"): Promise<Response> =>
    fetch(gateway.url + path, {
      method,
      headers: { "api-key": clear, "content-type": "application/json" },
      ...(method === "POST" ? { body: JSON.stringify(body) } : {}),
    });

  it("take the model from the path, whatever the body names", async () => {
    for (const body of [{ messages }, { model: "vectors", messages }, { messages, model: null }]) {
      const answer = await post("/openai/deployments/chat/chat/completions?api-version=2024-10-21", body);
      assert.equal(answer.status, 200, await answer.text());
      assert.equal(sent()["model"], "gpt-4o");
    }
  });

  it("answer what they don't serve as other paths do", async () => {
    const rows: [path: string, status: number, code: string, method?: string][] = [
      ["/openai/deployments/nothing/chat/completions", 404, "model_not_found"],
      ["/openai/deployments/chat/video/generations", 404, "unknown_url"],
      ["/openai/deployments/%ff/chat/completions", 404, "unknown_url"],
      ["/openai/deployments//chat/completions", 404, "unknown_url"],
      ["/openai", 404, "unknown_url"],
      ["/openai/deployments/chat/chat/completions", 405, "method_not_allowed", "GET"],
    ];
    for (const [path, status, code, method] of rows) {
      const answer = await post(path, { messages }, method);
      const text = await answer.text();
      assert.equal(answer.status, status, `${path}: ${text}`);
      assert.equal((JSON.parse(text) as { error: { code: string } }).error.code, code, path);
    }
  });

  it("are explained", async () => {
    const { stdout } = await sluice(
      ...["explain", gateway.folder, "--key", "default/caller"],
      ...["--path", "/openai/deployments/chat/chat/completions"],
    );
    assert.match(stdout, /^model +chat$/m);
    assert.match(stdout, /^route +default\/main$/m);
  });
});
