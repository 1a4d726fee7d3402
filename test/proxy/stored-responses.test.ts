/** Responses that a provider stores: fetched, listed, cancelled and deleted by who made them, and by nobody else. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI, { NotFoundError } from "openai";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { json, startUpstream, type Upstream, type UpstreamRequest } from "../harness/upstream.ts";

type Json = Record<string, unknown>;

const keys = { alice: "slc_alice_key_0001", bob: "slc_bob_key_000001" };

/** OpenAI's stored responses, with the ids and answers of its API. */
class Stored {
  readonly #kept = new Map<string, Json>();
  readonly #word: string;

  constructor(word: string) {
    this.#word = word;
  }

  answer({ method, path, json: body }: UpstreamRequest): [status: number, body: Json] {
    const [where = "", query = ""] = path.split("?");
    if (where === "/v1/responses") return [200, this.#create(body)];
    const [, id = "", part = ""] = /^\/v1\/responses\/(resp_[a-z]+\d+)(?:\/(\w+))?$/.exec(where) ?? [];
    const kept = this.#kept.get(id);
    if (kept === undefined) return [404, { error: { message: `no ${id}`, type: "invalid_request_error" } }];
    if (method === "DELETE") this.#kept.delete(id);
    if (method === "DELETE") return [200, { id, object: "response", deleted: true }];
    if (part === "cancel") return [200, { ...kept, status: "cancelled" }];
    if (part === "") return [200, kept];
    const after = new URLSearchParams(query).get("after");
    const items = ["msg_a1", "msg_a2"].filter((item) => after === null || item > after);
    const data = items.map((item) => ({ id: item, type: "message", role: "user", content: [] }));
    return [200, { object: "list", data, first_id: items[0] ?? null, last_id: items.at(-1) ?? null, has_more: false }];
  }

  #create({ model }: Json): Json {
    const id = `resp_${this.#word}${this.#kept.size + 1}`;
    const content = [{ type: "output_text", text: this.#word, annotations: [] }];
    const output = [{ id: `msg_${this.#word}`, type: "message", status: "completed", role: "assistant", content }];
    const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
    const kept = { id, object: "response", status: "completed", model, output, usage };
    this.#kept.set(id, kept);
    return kept;
  }
}

describe("stored responses", () => {
  const upstreams: Record<string, Upstream> = {};
  let gateway: TestGateway;

  before(async () => {
    for (const name of ["one", "two", "masked"]) {
      const stored = new Stored(name);
      upstreams[name] = await startUpstream((request, response) => json(response, ...stored.answer(request)));
    }
    const names = Object.keys(upstreams);
    gateway = await startGateway([
      ...names.flatMap((name) => [
        secret(`${name}-credentials`, { apiKey: "sk-test" }),
        provider(name, upstreams[name]?.url ?? "", { type: "OpenAI", models: [{ name }] }),
        policy(name, {
          match: { models: [name] },
          routing: { targets: [{ provider: { name } }] },
          ...(name === "masked" ? { guard: { mask: { answers: true } } } : {}),
        }),
      ]),
      ...Object.entries(keys).flatMap(([name, clear]) => key(name, clear)),
    ]);
  });
  after(async () => {
    await gateway?.close();
    for (const upstream of Object.values(upstreams)) await upstream.close();
  });

  const sdk = (caller: keyof typeof keys): OpenAI =>
    new OpenAI({ apiKey: keys[caller], baseURL: `${gateway.url}/v1`, maxRetries: 0 });

  it("are fetched from the account that made them, by their sealed ids", async () => {
    const client = sdk("alice");
    for (const model of ["one", "two"]) {
      const made = await client.responses.create({ model, input: "Hi" });
      assert.match(made.id, new RegExp(`^resp_${model}1_s1`));
      const kept = await client.responses.retrieve(made.id);
      assert.deepEqual([kept.id, kept.output_text, kept.output[0]?.id], [made.id, model, made.output[0]?.id]);
      assert.equal((await client.responses.cancel(made.id)).status, "cancelled");
      const items = [];
      for await (const item of client.responses.inputItems.list(made.id)) items.push(item.id);
      assert.equal(items.length, 2);
      assert.ok(items.every((id) => /^msg_a\d_s1/.test(String(id))));
      const rest = await client.responses.inputItems.list(made.id, { after: String(items[0]) });
      assert.deepEqual(
        rest.data.map(({ id }) => id),
        [items[1]],
      );
      await client.responses.delete(made.id);
      await assert.rejects(client.responses.retrieve(made.id), NotFoundError);
    }
  });

  const call = async (caller: keyof typeof keys, path: string, method = "GET"): Promise<[number, Json]> => {
    const headers = { authorization: `Bearer ${keys[caller]}` };
    const answer = await fetch(`${gateway.url}/v1/responses/${path}`, { method, headers });
    return [answer.status, (await answer.json()) as Json];
  };
  const codeOf = (body: Json): unknown => (body["error"] as Json)["code"];

  it("give away no id of the provider's, in lists either", async () => {
    const made = await sdk("alice").responses.create({ model: "one", input: "Hi" });
    const [, list] = await call("alice", `${made.id}/input_items`);
    assert.match(String(list["first_id"]), /_s1/);
    assert.match(String(list["last_id"]), /_s1/);
  });

  it("are nobody else's", async () => {
    const made = await sdk("alice").responses.create({ model: "one", input: "Hi" });
    const asked = upstreams["one"]?.requests.length;
    for (const [path, method] of [
      [made.id, "GET"],
      [made.id, "DELETE"],
      [`${made.id}/cancel`, "POST"],
      [`${made.id}/input_items`, "GET"],
      // The provider's own id.
      [made.id.replace(/_s1.*$/, ""), "GET"],
    ] as const) {
      const [status, body] = await call("bob", path, method);
      assert.deepEqual([status, codeOf(body)], [404, "resource_not_found"], `${method} ${path}`);
    }
    assert.equal(upstreams["one"]?.requests.length, asked, "the provider was not asked");
  });

  it("can't be streamed, and other paths are no responses", async () => {
    const made = await sdk("alice").responses.create({ model: "one", input: "Hi" });
    const [status, body] = await call("alice", `${made.id}?stream=true`);
    assert.deepEqual([status, codeOf(body)], [400, "unsupported_parameter"]);
    assert.equal((await call("alice", made.id, "PUT"))[0], 405);
    assert.equal((await call("alice", "summary", "POST"))[0], 404);
  });

  it("are only deleted where a policy masks what passes", async () => {
    const made = await sdk("alice").responses.create({ model: "masked", input: "Hi" });
    const [status, body] = await call("alice", made.id);
    assert.deepEqual([status, codeOf(body)], [404, "unknown_url"]);
    assert.match(String((body["error"] as Json)["message"]), /masks personal data/);
    assert.equal((await call("alice", made.id, "DELETE"))[0], 200);
  });
});
