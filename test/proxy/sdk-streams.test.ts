/**
 * Streams that break at each point, read by the official SDKs with their defaults: directly, and through a gateway with
 * one provider and defaults. Through the gateway a caller never gets less, and never takes a part for the whole.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { brokenStreams, whole } from "../harness/broken-streams.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001_streams";
const dialects = ["chat", "messages"] as const;
/** How many frames are sent before the stream breaks; -1: nothing at all, not even a status. */
const points = [-1, 0, 1, 2, 3, 4, 5, 6, 7, 99];
/** How often it breaks before it is whole. */
const breaks = [1, 2, 99];
const models = dialects.flatMap((dialect) =>
  points.flatMap((point) => breaks.map((times) => `${dialect}_${point}_${times}`)),
);

interface Read {
  text: string;
  /** Whether the SDK reported the end without an error. */
  ended: boolean;
}

async function read(base: string, apiKey: string, model: string): Promise<Read> {
  const messages = [{ role: "user" as const, content: "Hi" }];
  let text = "";
  try {
    if (model.startsWith("messages")) {
      const client = new Anthropic({ apiKey, baseURL: base });
      for await (const part of await client.messages.create({ model, max_tokens: 99, messages, stream: true }))
        if (part.type === "content_block_delta" && part.delta.type === "text_delta") text += part.delta.text;
    } else {
      const client = new OpenAI({ apiKey, baseURL: `${base}/v1` });
      for await (const part of await client.chat.completions.create({ model, messages, stream: true }))
        text += part.choices[0]?.delta.content ?? "";
    }
    return { text, ended: true };
  } catch {
    return { text, ended: false };
  }
}

describe("a stream that breaks", () => {
  let direct: Upstream;
  let behind: Upstream;
  let gateway: TestGateway;
  const directly = new Map<string, Read>();
  const through = new Map<string, Read>();
  before(async () => {
    direct = await startUpstream(brokenStreams());
    behind = await startUpstream(brokenStreams());
    const of = (dialect: string) => models.filter((model) => model.startsWith(dialect)).map((name) => ({ name }));
    const plain = { retry: undefined };
    gateway = await startGateway([
      provider("openai", behind.url, { ...plain, models: of("chat") }),
      provider("claude", behind.url, { ...plain, type: "Anthropic", endpoint: behind.url, models: of("messages") }),
      secret("openai-credentials", { apiKey: "sk-up" }),
      secret("claude-credentials", { apiKey: "sk-up" }),
      ...dialects.map((dialect) =>
        policy(dialect, {
          match: { models: of(dialect).map(({ name }) => name) },
          routing: { targets: [{ provider: { name: dialect === "chat" ? "openai" : "claude" } }] },
        }),
      ),
      ...key("alice", clear),
    ]);
    const all = async (into: Map<string, Read>, base: string, apiKey: string): Promise<void> => {
      await Promise.all(models.map(async (model) => into.set(model, await read(base, apiKey, model))));
    };
    await all(directly, direct.url, "sk-up");
    await all(through, gateway.url, clear);
  });
  after(async () => {
    await gateway.close();
    await direct.close();
    await behind.close();
  });

  for (const model of models)
    it(`is no worse through the gateway: ${model}`, () => {
      const [one, other] = [directly.get(model), through.get(model)] as [Read, Read];
      assert.ok(other.text.startsWith(one.text), `${JSON.stringify(one)} became ${JSON.stringify(other)}`);
      if (one.ended && one.text === whole) assert.deepEqual(other, one);
      assert.ok(!other.ended || other.text === whole, `a part passed for the whole: ${JSON.stringify(other)}`);
    });
});
