/**
 * A provider that fails n times and then recovers, called by the official SDKs with their defaults: directly, and through
 * a gateway with one provider and defaults. The gateway never makes results worse, and retries aren't multiplied.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { run } from "../harness/command.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { ensurePythonEnv, skipReason } from "../harness/tools.ts";
import { type Answer, json, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
/** The SDKs' own timeout if the provider hangs. Long enough for an answer on a busy machine. */
const hangMs = 2_500;
/** Attempts of an SDK with its defaults, plus one of the gateway's own. */
const maxAttempts = 4;

const kinds = ["500", "503", "429", "529", "reset", "hang"] as const;
const dialects = ["chat", "messages"] as const;
const modelsOf = (who: string): string[] =>
  dialects.flatMap((dialect) =>
    kinds.flatMap((kind) => (kind === "hang" ? [1, 2] : [1, 2, 3]).map((n) => `${dialect}-${kind}-${n}-${who}`)),
  );

/** Model name → how the provider fails, and how often before it answers. */
function script(): { answer: Answer; attempts: Map<string, number> } {
  const attempts = new Map<string, number>();
  const answer: Answer = ({ json: body }, response) => {
    const model = String(body["model"]);
    const [dialect, kind = "", failures] = model.split("-");
    const attempt = (attempts.get(model) ?? 0) + 1;
    attempts.set(model, attempt);
    if (attempt <= Number(failures)) {
      if (kind === "hang") return;
      if (kind === "reset") return void response.destroy();
      const error = { type: "api_error", message: "not now" };
      return json(response, Number(kind), dialect === "messages" ? { type: "error", error } : { error });
    }
    const usage = { input_tokens: 1, output_tokens: 1, prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    const message = { role: "assistant", content: "Hi" };
    json(
      response,
      200,
      dialect === "messages"
        ? {
            id: "m",
            type: "message",
            role: "assistant",
            model,
            content: [{ type: "text", text: "Hi" }],
            stop_reason: "end_turn",
            usage,
          }
        : {
            id: "c",
            object: "chat.completion",
            created: 1,
            model,
            choices: [{ index: 0, message, finish_reason: "stop" }],
            usage,
          },
    );
  };
  return { answer, attempts };
}

type Outcomes = Record<string, boolean>;
type CallAll = (base: string, apiKey: string, models: readonly string[]) => Promise<Outcomes>;

const withNode: CallAll = async (base, apiKey, models) => {
  const messages = [{ role: "user" as const, content: "Hi" }];
  const entries = models.map(async (model): Promise<[string, boolean]> => {
    const options = { apiKey, ...(model.includes("hang") ? { timeout: hangMs } : {}) };
    try {
      if (model.startsWith("messages-"))
        await new Anthropic({ ...options, baseURL: base }).messages.create({ model, max_tokens: 9, messages });
      else await new OpenAI({ ...options, baseURL: `${base}/v1` }).chat.completions.create({ model, messages });
      return [model, true];
    } catch (cause) {
      assert.ok(cause instanceof OpenAI.APIError || cause instanceof Anthropic.APIError, String(cause));
      return [model, false];
    }
  });
  return Object.fromEntries(await Promise.all(entries));
};

const requirements = join(import.meta.dirname, "..", "tools", "requirements.txt");
const withPython: CallAll = async (base, apiKey, models) => {
  const python = await ensurePythonEnv(requirements);
  const program = join(import.meta.dirname, "sdk-resilience.py");
  const done = await run(
    python,
    [program, `${base}/v1`, base, apiKey, String(hangMs / 1_000), JSON.stringify(models)],
    {},
  );
  assert.equal(done.code, 0, done.stderr);
  return JSON.parse(done.stdout) as Outcomes;
};

const pythonSkip = await skipReason(() => ensurePythonEnv(requirements));
const callers: { who: string; callAll: CallAll; skip: string | false }[] = [
  { who: "node", callAll: withNode, skip: false },
  { who: "python", callAll: withPython, skip: pythonSkip || false },
];

describe("an official SDK with its defaults", () => {
  let direct: Upstream;
  let behind: Upstream;
  let gateway: TestGateway;
  const directly = script();
  const through = script();

  before(async () => {
    direct = await startUpstream(directly.answer);
    behind = await startUpstream(through.answer);
    const all = callers.flatMap(({ who }) => modelsOf(who));
    const of = (dialect: string) => all.filter((model) => model.startsWith(dialect)).map((name) => ({ name }));
    // Retries, timeouts and breakers keep their defaults.
    const plain = { retry: undefined };
    gateway = await startGateway([
      provider("openai", behind.url, { ...plain, models: of("chat") }),
      provider("claude", behind.url, { ...plain, type: "Anthropic", endpoint: behind.url, models: of("messages") }),
      secret("openai-credentials", { apiKey: "sk-up" }),
      secret("claude-credentials", { apiKey: "sk-up" }),
      ...["openai", "claude"].map((name) =>
        policy(name, {
          match: { models: of(name === "openai" ? "chat" : "messages").map((model) => model.name) },
          routing: { targets: [{ provider: { name } }] },
        }),
      ),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await direct.close();
    await behind.close();
  });

  for (const { who, callAll, skip } of callers) {
    it(`for ${who} does at least as well through the gateway as directly`, { skip }, async () => {
      const models = modelsOf(who);
      const [without, within] = await Promise.all([
        callAll(direct.url, "sk-direct", models),
        callAll(gateway.url, clear, models),
      ]);
      const worse = models.filter((model) => without[model] === true && within[model] !== true);
      assert.deepEqual(worse, []);
      assert.ok(Object.values(without).some((succeeded) => succeeded));
      const many = models.filter((model) => (through.attempts.get(model) ?? 0) > maxAttempts);
      assert.deepEqual(many, [], "attempts of SDK and gateway are not multiplied");
    });
  }
});
