import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { run } from "../harness/command.ts";
import { key, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { ensurePythonEnv, skipReason } from "../harness/tools.ts";
import { startUpstream } from "../harness/upstream.ts";

const requirements = join(import.meta.dirname, "..", "tools", "requirements.txt");

describe("the official OpenAI SDK for Python", { skip: await skipReason(() => ensurePythonEnv(requirements)) }, () => {
  it("chats, streams, embeds, lists models, and gets clear errors", async () => {
    const upstream = await startUpstream();
    const gateway = await startGateway([
      provider("up", upstream.url, { models: [{ name: "gpt-4o" }, { name: "embed" }, { name: "hidden" }] }),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("chat", { match: { models: ["gpt-4o", "embed"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      policy("hidden", {
        match: { models: ["hidden"] },
        access: { roles: ["admin"] },
        routing: { targets: [{ provider: { name: "up" } }] },
      }),
      policy("open", {
        match: { pathPrefix: "/chat" },
        access: { anonymous: true },
        routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
      }),
      ...key("alice", "slc_alice_key_0001"),
      ...key("mallory", "slc_mallory_key_01", { revoked: true }),
    ]);
    try {
      const python = await ensurePythonEnv(requirements);
      const script = join(import.meta.dirname, "sdk-openai.py");
      const done = await run(python, [script, gateway.url, "slc_alice_key_0001", "slc_mallory_key_01"], {});
      assert.equal(done.code, 0, done.stderr);
      assert.deepEqual(JSON.parse(done.stdout), {
        chat: "Hello there",
        tokens: 18,
        stream: "Hello there",
        embedding: [0.25, -0.5],
        models: ["embed", "gpt-4o"],
        wrong_key: ["AuthenticationError", 401, "invalid_api_key"],
        revoked_key: ["AuthenticationError", 401, "revoked_api_key"],
        unknown_model: ["NotFoundError", 404, "model_not_found"],
        malformed_body: ["BadRequestError", 400, "missing_required_parameter"],
        open_path: "Hello there",
      });
    } finally {
      await gateway.close();
      await upstream.close();
    }
  });
});
