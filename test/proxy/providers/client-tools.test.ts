/**
 * Tools of coding agents (in namespaces, freeform, run by the client's provider, one at a time) on providers that only
 * have functions: what the provider gets, and what the client gets back, whole and streamed.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../../harness/gateway.ts";
import { complaintsOf } from "../../harness/strict/provider.ts";
import { json, startUpstream, type Upstream, type UpstreamRequest } from "../../harness/upstream.ts";
import { type Json, list, own, type Said } from "./wire/wire.ts";
import { wires } from "./wire/wires.ts";

const clear = "slc_client_tools_key_0001";
const usage = { prompt: 20, cached: 0, completion: 9 };
const schema = { type: "object", properties: { message: { type: "string" } }, required: ["message"] };
const patch = '*** Begin Patch\n*** Add File: a "b".txt\n+é\n*** End Patch';
const translating = wires.filter((wire) => !["OpenAI", "AzureOpenAI"].includes(wire.type));

/** As Codex sends them. */
const codexTools: Json[] = [
  { type: "function", name: "shell", parameters: schema, strict: false },
  {
    type: "custom",
    name: "apply_patch",
    description: "Edits files.",
    format: { type: "grammar", syntax: "lark", definition: 'start: "*** Begin Patch"' },
  },
  {
    type: "namespace",
    name: "multi_agent_v1",
    description: "Agents",
    tools: [
      { type: "function", name: "spawn_agent", parameters: schema },
      { type: "custom", name: "say" },
    ],
  },
  { type: "web_search" },
  { type: "image_generation" },
];

const said: Said = {
  calls: [
    { id: "call00001", name: "apply_patch", args: { input: patch } },
    { id: "call00002", name: "multi_agent_v1__spawn_agent", args: { message: "go" } },
  ],
  usage,
};

/** The parts of a call's item that a client reads. */
const seen = ({ type, call_id, name, namespace, arguments: args, input }: Json): Json => ({
  type,
  call_id,
  name,
  ...(namespace === undefined ? {} : { namespace }),
  ...(args === undefined ? {} : { arguments: JSON.parse(String(args)) }),
  ...(input === undefined ? {} : { input }),
});

const expected = [
  { type: "custom_tool_call", call_id: "call00001", name: "apply_patch", input: patch },
  {
    type: "function_call",
    call_id: "call00002",
    name: "spawn_agent",
    namespace: "multi_agent_v1",
    arguments: { message: "go" },
  },
];

const frames = (text: string): Json[] =>
  text.split("\n\n").flatMap((frame) => {
    const data = /^data: (.*)$/m.exec(frame)?.[1];
    return data === undefined || data === "[DONE]" ? [] : [own(JSON.parse(data))];
  });

for (const wire of translating) {
  describe(`client tools on ${wire.type}`, () => {
    let upstream: Upstream;
    let gateway: TestGateway;
    let next: Said = said;
    const last = (): UpstreamRequest => upstream.requests.at(-1) as UpstreamRequest;

    before(async () => {
      upstream = await startUpstream((request, response) => {
        const aside = wire.aside?.(request) ?? null;
        if (aside !== null) return json(response, 200, aside);
        const complaints = complaintsOf(wire.type, request);
        if (complaints.length > 0) return json(response, 400, wire.error(400, complaints.join("; ")));
        if (!wire.asked(request).stream) return json(response, 200, wire.whole(next));
        response.writeHead(200, { "content-type": wire.contentType });
        for (const frame of wire.frames(next)) response.write(frame);
        return void response.end();
      });
      const spec = wire.spec(upstream.url);
      const options = wire.type === "OpenAICompatible" ? { responses: "Translate" } : own(spec["options"]);
      gateway = await startGateway([
        secret("up-credentials", wire.secret),
        provider("up", upstream.url, {
          type: wire.type,
          ...spec,
          options,
          models: [{ name: "m", upstream: wire.type === "Gemini" ? "gemini-3-flash" : "model-1" }],
        }),
        policy("main", {
          match: { models: ["m"] },
          routing: { targets: [{ provider: { name: "up" } }], fallbackOn: [] },
        }),
        ...key("agent", clear),
      ]);
    });
    after(async () => {
      await gateway?.close();
      await upstream?.close();
    });

    const post = (path: string, body: Json): Promise<Response> =>
      fetch(gateway.url + path, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "m", ...body }),
      });

    // Bytes of chat completions pass through to servers of the same format.
    const translates = wire.type !== "OpenAICompatible";
    const functions = [{ name: "look", description: "Looks.", parameters: schema }];
    const looked: Said = { calls: [{ id: "call00001", name: "look", args: { message: "a" } }], usage };
    const asked = [{ role: "user", content: "Hi" }];

    it("takes legacy functions as tools, and gives a call back as a function call", { skip: !translates }, async () => {
      next = looked;
      const response = await post("/v1/chat/completions", {
        messages: [
          ...asked,
          { role: "assistant", content: null, function_call: { name: "look", arguments: "null" } },
          { role: "function", name: "look", content: "nothing" },
        ],
        functions,
        function_call: "auto",
      });
      const body = (await response.json()) as Json;
      assert.equal(response.status, 200, JSON.stringify(body));
      assert.deepEqual(wire.asked(last()).tools, ["look"]);
      assert.deepEqual(wire.asked(last()).toolResults, ["nothing"]);
      const [choice] = list(body["choices"]);
      const call = own(own(choice?.["message"])["function_call"]);
      assert.equal(call["name"], "look");
      assert.deepEqual(JSON.parse(String(call["arguments"])), { message: "a" });
      assert.equal(choice?.["finish_reason"], "function_call");
      assert.ok(!("tool_calls" in own(choice?.["message"])));
    });

    it("streams a call of a legacy function", { skip: !translates }, async () => {
      next = looked;
      const response = await post("/v1/chat/completions", { messages: asked, functions, stream: true });
      const choices = frames(await response.text()).flatMap((frame) => list(frame["choices"]));
      const calls = choices.map((choice) => own(own(choice["delta"])["function_call"]));
      assert.equal(calls.find((call) => call["name"] !== undefined)?.["name"], "look");
      assert.deepEqual(JSON.parse(calls.map((call) => call["arguments"] ?? "").join("")), { message: "a" });
      assert.equal(choices.at(-1)?.["finish_reason"], "function_call");
      assert.ok(choices.every((choice) => !("tool_calls" in own(choice["delta"]))));
    });

    it("takes Codex's tools, names those that only OpenAI has, and gives calls back in their own form", async () => {
      next = said;
      const response = await post("/v1/responses", {
        input: "Hi",
        tools: codexTools,
        parallel_tool_calls: true,
        store: false,
      });
      const body = (await response.json()) as Json;
      assert.equal(response.status, 200, JSON.stringify(body));
      const searches = wire.type === "Anthropic";
      const dropped = response.headers.get("x-sluice-dropped-params") ?? "";
      assert.match(dropped, /tools\.image_generation/);
      assert.equal(dropped.includes("tools.web_search"), !searches);
      const names = ["shell", "apply_patch", "multi_agent_v1__spawn_agent", "multi_agent_v1__say"];
      assert.deepEqual(wire.asked(last()).tools, searches ? [...names, "web_search"] : names);
      assert.match(last().text, /Begin Patch/, "the grammar is sent");
      assert.deepEqual(list(body["output"]).map(seen), expected);
      assert.deepEqual(body["tools"], codexTools, "echoed as sent");
    });

    it("streams them in their own form", async () => {
      next = said;
      const response = await post("/v1/responses", { input: "Hi", tools: codexTools, stream: true });
      const events = frames(await response.text());
      const done = events.filter((event) => event["type"] === "response.output_item.done");
      assert.deepEqual(
        done.map((event) => seen(own(event["item"]))),
        expected,
      );
      const input = events.filter((event) => event["type"] === "response.custom_tool_call_input.done");
      assert.deepEqual(
        input.map((event) => event["input"]),
        [patch],
      );
      assert.deepEqual(list(own(events.at(-1)?.["response"])["output"]).map(seen), expected);
    });

    it("takes the calls and their results back", async () => {
      next = { text: "Done.", usage };
      const response = await post("/v1/responses", {
        tools: codexTools,
        input: [
          { role: "user", content: "Hi" },
          { type: "reasoning", id: "rs_up_0", summary: [{ type: "summary_text", text: "Hm." }] },
          { type: "item_reference", id: "rs_up_1" },
          { type: "web_search_call", status: "completed" },
          { type: "custom_tool_call", id: "ctc_up_1", call_id: "call00001", name: "apply_patch", input: patch },
          {
            type: "function_call",
            id: "fc_up_2",
            call_id: "call00002",
            name: "spawn_agent",
            namespace: "multi_agent_v1",
            arguments: '{"message":"go"}',
          },
          { type: "custom_tool_call_output", call_id: "call00001", output: "applied" },
          { type: "function_call_output", call_id: "call00002", output: "spawned" },
        ],
      });
      const body = (await response.json()) as Json;
      assert.equal(response.status, 200, JSON.stringify(body));
      assert.deepEqual(wire.asked(last()).toolResults, ["applied", "spawned"]);
      assert.match(last().text, /multi_agent_v1__spawn_agent/);
      assert.match(response.headers.get("x-sluice-dropped-params") ?? "", /input\.web_search_call/);
    });

    it("passes on one call where the client asked for one at a time", async () => {
      next = said;
      const plain = [{ type: "function", name: "apply_patch", parameters: schema }];
      for (const stream of [false, true]) {
        const response = await post("/v1/responses", { input: "Hi", tools: plain, parallel_tool_calls: false, stream });
        assert.equal(response.status, 200);
        const text = await response.text();
        const output = stream ? own(frames(text).at(-1)?.["response"])["output"] : own(JSON.parse(text))["output"];
        assert.deepEqual(
          list(output).map((item) => item["name"]),
          ["apply_patch"],
        );
      }
    });

    if (wire.type !== "Anthropic") {
      it("takes Claude Code's tools, without those that only Anthropic runs", async () => {
        next = { ...said, calls: [{ id: "call00001", name: "Bash", args: { message: "ls" } }] };
        const response = await post("/v1/messages", {
          max_tokens: 100,
          messages: [
            { role: "user", content: "Hi" },
            {
              role: "assistant",
              content: [
                { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "x" } },
                { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
                { type: "text", text: "Found it." },
              ],
            },
            { role: "user", content: "Go on." },
          ],
          tools: [
            { name: "Bash", input_schema: schema },
            { type: "web_search_20250305", name: "web_search" },
          ],
          tool_choice: { type: "any", disable_parallel_tool_use: true },
        });
        const body = (await response.json()) as Json;
        assert.equal(response.status, 200, JSON.stringify(body));
        assert.deepEqual(
          list(body["content"]).map((block) => block["name"]),
          ["Bash"],
        );
        const dropped = response.headers.get("x-sluice-dropped-params") ?? "";
        assert.match(dropped, /tools\.web_search_20250305/);
        assert.match(dropped, /messages\.content\.server_tool_use/);
      });
    }

    if (wire.type !== "OpenAICompatible") {
      it("takes freeform tools of chat completions, whole and streamed", async () => {
        next = { ...said, calls: said.calls?.slice(0, 1) ?? [] };
        const body = {
          messages: [{ role: "user", content: "Hi" }],
          tools: [{ type: "custom", custom: { name: "apply_patch", description: "Edits files." } }],
          tool_choice: { type: "custom", custom: { name: "apply_patch" } },
        };
        const whole = own(await (await post("/v1/chat/completions", body)).json());
        const call = list(own(list(whole["choices"])[0]?.["message"])["tool_calls"])[0];
        assert.deepEqual(call, { id: "call00001", type: "custom", custom: { name: "apply_patch", input: patch } });
        const text = await (await post("/v1/chat/completions", { ...body, stream: true })).text();
        const pieces = frames(text).flatMap((chunk) => list(own(list(chunk["choices"])[0]?.["delta"])["tool_calls"]));
        assert.equal(pieces.map((piece) => own(piece["custom"])["input"]).join(""), patch);
        assert.equal(pieces[0]?.["type"], "custom");
        const answered = await post("/v1/chat/completions", {
          ...body,
          tool_choice: "auto",
          messages: [
            ...body.messages,
            { role: "assistant", tool_calls: [call] },
            { role: "tool", tool_call_id: "call00001", content: "applied" },
          ],
        });
        assert.equal(answered.status, 200, await answered.text());
        assert.deepEqual(wire.asked(last()).toolResults, ["applied"]);
      });
    }
  });
}
