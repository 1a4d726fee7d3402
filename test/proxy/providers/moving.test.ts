/**
 * A conversation with tools may move between any two providers at any turn, in every client's format: fallback, a canary
 * or the user's choice of model does that. Each provider refuses what the real one refuses.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import fc, { runs } from "../../harness/property.ts";
import { answerOf, type Turn } from "../../harness/strict/answers.ts";
import { type Json, list, own } from "../../harness/strict/json.ts";
import { complaintsOf, isResponsesPath } from "../../harness/strict/provider.ts";
import { json, startUpstream, type Upstream } from "../../harness/upstream.ts";
import { wires } from "./wire/wires.ts";

const clear = "slc_moving_key_0001";
/** Names that some providers don't take: too long, with dots and dashes, beginning with a digit. */
const toolNames = [
  "weather",
  "mcp__github-enterprise__create.pull_request",
  "2nd_tool",
  `mcp__a_server_with_a_rather_long_name__${"and_a_tool_with_a_longer_one_".repeat(3)}`,
];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

/** How a client of one API keeps a conversation, as its SDK does. */
interface Surface {
  name: string;
  path: string;
  user(text: string): Json[];
  /** What the client adds to its history for an answer. */
  said(answer: Json): Json[];
  calls(answer: Json): { id: string; name: string }[];
  results(calls: readonly { id: string }[]): Json[];
  body(model: string, history: readonly Json[]): Json;
}

const chat: Surface = {
  name: "chat completions",
  path: "/v1/chat/completions",
  user: (content) => [{ role: "user", content }],
  said: (answer) => [own(list(answer["choices"])[0]?.["message"])],
  calls: (answer) =>
    list(own(list(answer["choices"])[0]?.["message"])["tool_calls"]).map((call) => ({
      id: String(call["id"]),
      name: String(own(call["function"])["name"]),
    })),
  results: (calls) => calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "sunny" })),
  body: (model, messages) => ({
    model,
    messages: [{ role: "system", content: "Be brief." }, ...messages],
    tools: toolNames.map((name) => ({ type: "function", function: { name, description: "d", parameters: schema } })),
    user: JSON.stringify({ device_id: "d".repeat(64), session_id: "s".repeat(36) }),
  }),
};

const messages: Surface = {
  name: "Messages",
  path: "/v1/messages",
  user: (content) => [{ role: "user", content }],
  said: (answer) => [{ role: "assistant", content: answer["content"] }],
  calls: (answer) =>
    list(answer["content"])
      .filter((block) => block["type"] === "tool_use")
      .map((block) => ({ id: String(block["id"]), name: String(block["name"]) })),
  results: (calls) => [
    { role: "user", content: calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "sunny" })) },
  ],
  body: (model, history) => ({
    model,
    max_tokens: 1_000,
    system: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }],
    messages: history,
    tools: toolNames.map((name) => ({ name: name.replace(/[^\w-]/g, "_").slice(0, 128), input_schema: schema })),
    metadata: { user_id: JSON.stringify({ device_id: "d".repeat(64), session_id: "s".repeat(36) }) },
  }),
};

const responses: Surface = {
  name: "Responses",
  path: "/v1/responses",
  user: (content) => [{ type: "message", role: "user", content }],
  said: (answer) => list(answer["output"]),
  calls: (answer) =>
    list(answer["output"])
      .filter((item) => item["type"] === "function_call")
      .map((item) => ({ id: String(item["call_id"]), name: String(item["name"]) })),
  results: (calls) => calls.map(({ id }) => ({ type: "function_call_output", call_id: id, output: "sunny" })),
  body: (model, input) => ({
    model,
    input,
    instructions: "Be brief.",
    store: false,
    include: ["reasoning.encrypted_content"],
    parallel_tool_calls: true,
    tools: toolNames.map((name) => ({
      type: "function",
      name: name.slice(0, 64).replace(/\./g, "_"),
      parameters: schema,
    })),
    prompt_cache_key: "k".repeat(36),
  }),
};

/** Claude on Bedrock, and a model of OpenAI that takes functions only in Responses. */
const modelNames: Readonly<Record<string, string>> = { Bedrock: "anthropic.claude-sonnet-4-5", OpenAI: "gpt-5.6" };

const turn: fc.Arbitrary<Turn> = fc
  .record({
    thinking: fc.option(fc.constant("Let me think."), { nil: undefined }),
    text: fc.option(fc.constant("I will look."), { nil: undefined }),
    tools: fc.array(fc.nat(toolNames.length - 1), { maxLength: 3 }),
  })
  .map(({ thinking, text, tools }) => ({
    ...(thinking === undefined ? {} : { thinking }),
    ...(text === undefined && tools.length > 0 ? {} : { text: text ?? "Done." }),
    calls: tools.map((at) => ({ name: toolNames[at] as string, args: { city: "Bern" } })),
  }));

describe("a conversation that moves between providers", () => {
  let gateway: TestGateway;
  const upstreams = new Map<string, Upstream>();
  const refused: string[] = [];
  let next: { turn: Turn; seed: string } = { turn: { calls: [] }, seed: "" };

  before(async () => {
    for (const wire of wires) {
      const upstream = await startUpstream((request, response) => {
        const aside = wire.aside?.(request) ?? null;
        if (aside !== null) return json(response, 200, aside);
        const complaints = complaintsOf(wire.type, request);
        if (complaints.length > 0) {
          refused.push(`${wire.type}: ${complaints.join("; ")}\n${request.text.slice(0, 3_000)}`);
          return json(response, 400, wire.error(400, complaints.join("; ")));
        }
        const tools = namesIn(request.json);
        const calls = next.turn.calls.map((call) => ({
          ...call,
          name: tools[toolNames.indexOf(call.name)] ?? "weather",
        }));
        return json(
          response,
          200,
          answerOf(wire.type, { ...next.turn, calls }, next.seed, isResponsesPath(request.path)),
        );
      });
      upstreams.set(wire.type, upstream);
    }
    gateway = await startGateway([
      ...wires.flatMap((wire) => {
        const name = wire.type.toLowerCase();
        const models = [{ name, upstream: modelNames[wire.type] ?? `${name}-3` }];
        return [
          secret(`${name}-credentials`, wire.secret),
          provider(name, "", { type: wire.type, ...wire.spec(upstreams.get(wire.type)?.url ?? ""), models }),
          policy(name, { match: { models: [name] }, routing: { targets: [{ provider: { name } }], fallbackOn: [] } }),
        ];
      }),
      ...key("mover", clear),
    ]);
  });
  after(async () => {
    await gateway?.close();
    await Promise.all([...upstreams.values()].map((upstream) => upstream.close()));
  });

  async function ask(surface: Surface, type: string, history: readonly Json[]): Promise<Json> {
    const response = await fetch(gateway.url + surface.path, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify(surface.body(type.toLowerCase(), history)),
    });
    const body = (await response.json()) as Json;
    assert.equal(response.status, 200, `${type}: ${JSON.stringify(body)}\n${refused.at(-1) ?? ""}`);
    return body;
  }

  for (const surface of [chat, messages, responses]) {
    it(`in ${surface.name}`, async () => {
      const step = fc.record({ type: fc.constantFrom(...wires.map((wire) => wire.type)), turn });
      let turns = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), async (steps) => {
          const history: Json[] = surface.user("Hello?");
          for (const [index, { type, turn: said }] of steps.entries()) {
            next = { turn: said, seed: `${turns++}-${index}` };
            const answer = await ask(surface, type, history);
            const calls = surface.calls(answer);
            assert.equal(calls.length, said.calls.length, "calls are missing");
            assert.equal(new Set(calls.map((call) => call.id)).size, calls.length, "ids repeat");
            const offered = namesIn(surface.body(type, history));
            for (const call of calls)
              assert.ok(offered.includes(call.name), `${call.name} isn't the client's own name`);
            history.push(...surface.said(answer));
            history.push(...(calls.length > 0 ? surface.results(calls) : surface.user("And then?")));
          }
        }),
        { numRuns: runs(60) },
      );
    });
  }
});

/** Names of the tools in a body of any format. */
function namesIn(body: Json): string[] {
  const config = list(own(body["toolConfig"])["tools"]).map((tool) => own(tool["toolSpec"])["name"]);
  const plain = list(body["tools"]).flatMap((tool) => {
    const declared = list(tool["functionDeclarations"]);
    return declared.length > 0 ? declared.map((one) => one["name"]) : [tool["name"] ?? own(tool["function"])["name"]];
  });
  return [...config, ...plain].map(String);
}
