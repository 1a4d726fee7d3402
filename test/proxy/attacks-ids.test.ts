/** A caller can't use an object that a provider stores for another user. Its owner can, whichever target stores it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI, { NotFoundError } from "openai";
import { eventually, type Manifest, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type Answer, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

type Json = Record<string, unknown>;

const keys = {
  alice: "slc_alice_key_0001",
  again: "slc_alice_key_0002",
  bob: "slc_bob_key_000001",
  boss: "slc_boss_key_00001",
  eve: "slc_eve_key_000001",
};
type Caller = keyof typeof keys;

const object = (kind: string, namespace: string, name: string, rest: object): Manifest => ({
  kind,
  metadata: { name, namespace },
  ...rest,
});
const keyOf = (namespace: string, name: Caller, spec: object): Manifest[] => [
  object("ApiKey", namespace, name, { spec: { writeTo: { name: `${name}-key` }, ...spec } }),
  object("Secret", namespace, `${name}-key`, { stringData: { apiKey: keys[name] } }),
];

/** An account that stores responses, as OpenAI's does. It knows only its own ids. */
function account(label: string): Answer {
  const kept = new Set<string>();
  let serial = 0;
  return (request, response) => {
    if (request.path.endsWith("/chat/completions")) return openai(request, response);
    const previous = request.json["previous_response_id"];
    if (typeof previous === "string" && !kept.has(previous))
      return json(response, 400, { error: { message: `no ${previous} here`, code: "previous_response_not_found" } });
    serial++;
    const id = `resp_${label}${serial}`;
    kept.add(id);
    const body = {
      id,
      object: "response",
      created_at: 1,
      status: "completed",
      model: "gpt-4o",
      previous_response_id: previous ?? null,
      metadata: request.json["metadata"] ?? {},
      tools: [],
      output: [
        {
          type: "message",
          id: `msg_${label}${serial}`,
          role: "assistant",
          status: "completed",
          content: [
            {
              type: "output_text",
              text: 'The "id":"resp_x" of \\"id\\":\\"msg_y\\"',
              annotations: [
                { type: "container_file_citation", container_id: `cntr_${label}`, file_id: `cfile_${label}` },
              ],
            },
          ],
        },
      ],
      usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 },
    };
    if (request.json["stream"] !== true) return json(response, 200, body);
    const item = body.output[0];
    const events: Json[] = [
      { type: "response.created", response: { ...body, output: [], status: "in_progress" } },
      { type: "response.output_item.added", output_index: 0, item: { ...item, content: [] } },
      {
        type: "response.output_text.delta",
        item_id: `msg_${label}${serial}`,
        output_index: 0,
        content_index: 0,
        delta: "Hi",
      },
      { type: "response.output_item.done", output_index: 0, item },
      { type: "response.completed", response: body },
    ];
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const event of events) response.write(`event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`);
    response.end();
  };
}

const sealedForm = /^[a-z]+_[a-z]+\d*_s1[\w-]{38}$/;

describe("ids of objects that a provider stores", () => {
  let first: Upstream;
  let second: Upstream;
  let gateway: TestGateway;

  const provider = (name: string, url: string): Manifest =>
    object("LLMProvider", "team-a", name, {
      spec: {
        type: "OpenAI",
        endpoint: `${url}/v1`,
        allowPrivateEndpoint: true,
        credentials: { secretRef: { name: "creds" } },
        models: [{ name: "gpt-4o" }],
        retry: { attempts: 1 },
        allowedNamespaces: { from: "All" },
      },
    });
  const policy = (namespace: string): Manifest =>
    object("RoutingPolicy", namespace, "chat", {
      spec: {
        match: { models: ["gpt-4o"] },
        routing: {
          strategy: "RoundRobin",
          targets: ["one", "two"].map((name) => ({ provider: { name, namespace: "team-a" } })),
        },
      },
    });

  const sdk = (caller: Caller): OpenAI =>
    new OpenAI({ apiKey: keys[caller], baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  const post = async (caller: Caller, path: string, body: Json): Promise<{ status: number; body: Json }> => {
    const reply = await fetch(`${gateway.url}/v1/${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${keys[caller]}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", ...body }),
    });
    return { status: reply.status, body: (await reply.json()) as Json };
  };
  const sent = (): number => first.requests.length + second.requests.length;
  const ask = (caller: Caller, more: Json = {}) =>
    sdk(caller).responses.create({ model: "gpt-4o", input: "Hi", ...more }) as Promise<OpenAI.Responses.Response>;

  before(async () => {
    first = await startUpstream(account("one"));
    second = await startUpstream(account("two"));
    gateway = await startGateway([
      object("Namespace", "", "team-a", { metadata: { name: "team-a" } }),
      object("Namespace", "", "team-b", { metadata: { name: "team-b" } }),
      provider("one", first.url),
      provider("two", second.url),
      object("Secret", "team-a", "creds", { stringData: { apiKey: "sk-up" } }),
      policy("team-a"),
      policy("team-b"),
      ...keyOf("team-a", "alice", { user: "alice" }),
      ...keyOf("team-a", "again", { user: "alice" }),
      ...keyOf("team-a", "bob", { user: "bob" }),
      ...keyOf("team-a", "boss", { user: "boss", role: "admin" }),
      ...keyOf("team-b", "eve", { user: "alice" }),
    ]);
  });
  after(async () => {
    await gateway.close();
    await first.close();
    await second.close();
  });

  it("route every turn to the account that stores the response, with two accounts in rotation", async () => {
    let previous = await ask("alice");
    for (let turn = 0; turn < 6; turn++) {
      const next = await ask("alice", { previous_response_id: previous.id });
      assert.equal(next.previous_response_id, previous.id, "the answer repeats the id of the request");
      previous = next;
    }
    await ask("alice");
  });

  it("are sealed everywhere in an answer, and nothing else changes", async () => {
    const metadata = { id: "resp_mine", file_id: "file-mine" };
    const answer = await ask("alice", { metadata });
    assert.match(answer.id, sealedForm);
    const [item] = answer.output;
    assert.ok(item?.type === "message");
    assert.match(item.id, sealedForm);
    const [part] = item.content;
    assert.ok(part?.type === "output_text");
    assert.equal(part.text, 'The "id":"resp_x" of \\"id\\":\\"msg_y\\"');
    const [cited] = part.annotations;
    assert.ok(cited?.type === "container_file_citation");
    assert.match(cited.container_id, /^cntr_(one|two)_s1/);
    assert.match(cited.file_id, /^cfile_(one|two)_s1/);
    assert.deepEqual(answer.metadata, metadata);
  });

  it("are the same in all events of a stream", async () => {
    const ids = new Set<string>();
    const items = new Set<string>();
    const stream = await sdk("alice").responses.create({ model: "gpt-4o", input: "Hi", stream: true });
    for await (const event of stream) {
      if ("response" in event) ids.add(event.response.id);
      if ("item" in event) items.add(event.item.id ?? "");
      if ("item_id" in event) items.add(event.item_id);
    }
    assert.deepEqual([ids.size, items.size], [1, 1]);
    const [id = ""] = ids;
    assert.match(id, sealedForm);
    await ask("alice", { previous_response_id: id });
  });

  it("reach the provider in their original form", async () => {
    const answer = await ask("alice");
    const [item] = answer.output;
    await ask("alice", {
      input: [item as unknown as Json, { type: "item_reference", id: item?.id }, { role: "user", content: "And?" }],
    });
    const last = [...first.requests, ...second.requests]
      .map(({ json }) => json)
      .find(({ input }) => {
        return Array.isArray(input) && input.some((entry) => (entry as Json)["type"] === "item_reference");
      });
    const [whole, reference] = (last?.["input"] ?? []) as Json[];
    assert.match(String(whole?.["id"]), /^msg_(one|two)\d+$/);
    assert.equal(reference?.["id"], whole?.["id"]);
  });

  it("work for another key of the same user, and for roles that may see the namespace's requests", async () => {
    const { id } = await ask("alice");
    await ask("again", { previous_response_id: id });
    await ask("boss", { previous_response_id: id });
  });

  for (const other of ["bob", "eve"] as const) {
    it(`don't work for ${other}`, async () => {
      const { id } = await ask("alice");
      const before = sent();
      await assert.rejects(ask(other, { previous_response_id: id }), NotFoundError);
      assert.equal(sent(), before);
    });
  }

  /** Each place is tried with an unsealed id, with another user's id, and with damaged ids. */
  const bodies: [path: string, name: string, body: (id: string) => Json][] = [
    ["responses", "previous_response_id", (id) => ({ input: "Hi", previous_response_id: id })],
    ["responses", "conversation", (id) => ({ input: "Hi", conversation: id })],
    ["responses", "conversation.id", (id) => ({ input: "Hi", conversation: { id } })],
    ["responses", "prompt.id", (id) => ({ input: "Hi", prompt: { id } })],
    ["responses", "item_reference", (id) => ({ input: [{ type: "item_reference", id }] })],
    ["responses", "a reference without a type", (id) => ({ input: [{ id }] })],
    ["responses", "a stored reasoning", (id) => ({ input: [{ type: "reasoning", id, summary: [] }] })],
    ["responses", "a stored image", (id) => ({ input: [{ type: "image_generation_call", id }] })],
    [
      "responses",
      "input_file.file_id",
      (id) => ({ input: [{ role: "user", content: [{ type: "input_file", file_id: id }] }] }),
    ],
    [
      "responses",
      "input_image.file_id",
      (id) => ({ input: [{ role: "user", content: [{ type: "input_image", file_id: id }] }] }),
    ],
    [
      "responses",
      "a file in a tool's output",
      (id) => ({
        input: [{ type: "function_call_output", call_id: "c", output: [{ type: "input_file", file_id: id }] }],
      }),
    ],
    [
      "responses",
      "vector_store_ids",
      (id) => ({ input: "Hi", tools: [{ type: "file_search", vector_store_ids: [id] }] }),
    ],
    ["responses", "a container", (id) => ({ input: "Hi", tools: [{ type: "code_interpreter", container: id }] })],
    [
      "responses",
      "a container's files",
      (id) => ({ input: "Hi", tools: [{ type: "code_interpreter", container: { type: "auto", file_ids: [id] } }] }),
    ],
    [
      "responses",
      "a mask",
      (id) => ({ input: "Hi", tools: [{ type: "image_generation", input_image_mask: { file_id: id } }] }),
    ],
    [
      "responses",
      "an approval",
      (id) => ({ input: [{ type: "mcp_approval_response", approval_request_id: id, approve: true }] }),
    ],
    [
      "chat/completions",
      "a file",
      (id) => ({ messages: [{ role: "user", content: [{ type: "file", file: { file_id: id } }] }] }),
    ],
    ["chat/completions", "an earlier audio", (id) => ({ messages: [{ role: "assistant", audio: { id } }] })],
  ];
  for (const [path, name, body] of bodies) {
    it(`${path}: ${name} is checked`, async () => {
      const theirs = (await ask("bob")).id;
      const mine = (await ask("alice")).id;
      const damaged = mine.slice(0, -1) + (mine.endsWith("A") ? "B" : "A");
      const before = sent();
      for (const id of ["resp_one1", theirs, damaged, `${mine}x`, "../files", ""]) {
        const { status, body: answer } = await post("alice", path, body(id));
        assert.deepEqual([id, status, (answer["error"] as Json)?.["code"]], [id, 404, "resource_not_found"]);
      }
      assert.equal(sent(), before, "nothing was sent");
      await eventually(async () => (await post("alice", path, body(mine))).status !== 404);
    });
  }

  it("leave the caller's own ids alone", async () => {
    const before = sent();
    const id = "file-anything";
    const answers = await Promise.all([
      post("alice", "responses", {
        input: [{ type: "message", id: "msg_made_up", role: "user", content: "Hi" }],
        metadata: { file_id: id, container: id },
        tools: [{ type: "function", name: "f", parameters: { properties: { file_id: { enum: [id] } } } }],
      }),
      post("alice", "chat/completions", {
        messages: [{ role: "user", content: '{"file_id":"file-x"}' }],
        metadata: { file_id: id },
      }),
    ]);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200],
    );
    assert.equal(sent(), before + 2);
    const asked = [...first.requests, ...second.requests].map(({ json }) => json);
    const message = asked.flatMap(({ input }) => (Array.isArray(input) ? (input as Json[]) : [])).at(-1);
    assert.ok(message !== undefined);
    assert.ok(!JSON.stringify(asked).includes("msg_made_up"));
  });

  it("of two accounts can't be used in one call", async () => {
    const some = await Promise.all(Array.from({ length: 4 }, () => ask("alice")));
    const one = some.find(({ id }) => id.startsWith("resp_one"))?.id ?? "";
    const two = some.find(({ id }) => id.startsWith("resp_two"))?.id ?? "";
    const { status } = await post("alice", "responses", {
      input: [{ type: "item_reference", id: one }],
      previous_response_id: two,
    });
    assert.equal(status, 400);
  });
});

describe("state that the provider keeps, under a hard budget", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const price = { inputPerMillion: "1000", outputPerMillion: "1000" };

  before(async () => {
    const answer = account("one");
    upstream = await startUpstream(answer);
    gateway = await startGateway([
      object("LLMProvider", "team-a", "up", {
        spec: {
          type: "OpenAI",
          endpoint: `${upstream.url}/v1`,
          allowPrivateEndpoint: true,
          credentials: { secretRef: { name: "creds" } },
          models: [
            { name: "large", price, contextTokens: 400_000, maxOutputTokens: 10 },
            { name: "unknown", price, maxOutputTokens: 10 },
            { name: "small", price, contextTokens: 1_000, maxOutputTokens: 10 },
          ],
        },
      }),
      object("Secret", "team-a", "creds", { stringData: { apiKey: "sk-up" } }),
      ...["large", "unknown", "small"].map((name) =>
        object("RoutingPolicy", "team-a", name, {
          spec: { match: { models: [name] }, routing: { targets: [{ provider: { name: "up" } }] } },
        }),
      ),
      object("Budget", "team-a", "hard", { spec: { amount: "2", period: "Daily", enforcement: "Hard" } }),
      ...keyOf("team-a", "alice", { user: "alice" }),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  const ask = async (model: string, more: Json = {}): Promise<{ status: number; body: Json }> => {
    const reply = await fetch(`${gateway.url}/v1/responses`, {
      method: "POST",
      headers: { authorization: `Bearer ${keys.alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model, input: "Hi", ...more }),
    });
    return { status: reply.status, body: (await reply.json()) as Json };
  };

  it("reserves the whole context window, or is refused if its size is unknown", async () => {
    const { body } = await ask("small");
    const previous_response_id = body["id"];
    assert.equal(typeof previous_response_id, "string");
    const before = upstream.requests.length;
    const large = await Promise.all(Array.from({ length: 6 }, () => ask("large", { previous_response_id })));
    assert.deepEqual(new Set(large.map(({ status }) => status)), new Set([429]));
    const unknown = await ask("unknown", { previous_response_id });
    assert.equal(unknown.status, 400);
    assert.match(JSON.stringify(unknown.body), /contextTokens/);
    assert.equal(upstream.requests.length, before, "nothing was sent");
    assert.equal((await ask("small", { previous_response_id })).status, 200);
    assert.equal((await ask("large")).status, 200, "a call without stored state still works");
  });
});
