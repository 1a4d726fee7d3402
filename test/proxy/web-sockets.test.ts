/** Responses over a WebSocket, with the `ws` client as applications use it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, beforeEach, describe, it } from "node:test";
import { WebSocket } from "ws";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../harness/gateway.ts";
import { type Answer, json, startUpstream } from "../harness/upstream.ts";

type Event = Record<string, unknown>;

const upstream = await startUpstream();
after(() => upstream.close());
const clear = "slc_alice_key_0001_0123456789";

/** A strict stand-in for a provider with the Responses API. */
const responses: Answer = (request, response) => {
  const body = request.json;
  if (
    body["stream"] !== true ||
    "type" in body ||
    "generate" in body ||
    "stream_id" in body ||
    "previous_response_id" in body
  )
    return json(response, 400, { error: { message: "unknown parameter", code: "unknown_parameter" } });
  const answer = {
    ...{ id: `resp_${upstream.requests.length}`, object: "response", status: "completed", model: "gpt-4o" },
    output: [
      { type: "reasoning", id: "rs_1", summary: [] },
      {
        type: "message",
        id: "msg_1",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "Hello", annotations: [] }],
      },
    ],
    usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15 },
  };
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (type: string, more: Event): void =>
    void response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`);
  send("response.created", { sequence_number: 0, response: { ...answer, status: "in_progress", output: [] } });
  send("response.output_text.delta", {
    sequence_number: 1,
    item_id: "msg_1",
    output_index: 1,
    content_index: 0,
    delta: "Hello",
  });
  send("response.completed", { sequence_number: 2, response: answer });
  response.end();
};

beforeEach(() => {
  upstream.answer(responses);
  upstream.requests.length = 0;
});

const manifests = (more: Record<string, unknown> = {}, ...others: Manifest[]): Manifest[] => [
  provider("openai", upstream.url, {
    options: { responses: "Native" },
    models: [{ name: "gpt-4o", price: { inputPerMillion: "2", outputPerMillion: "10" } }],
  }),
  secret("openai-credentials", { apiKey: "sk-upstream" }),
  policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "openai" } }] }, ...more }),
  ...key("alice", clear),
  ...others,
];

async function gateway(given: Manifest[] = manifests(), flags: string[] = []): Promise<TestGateway> {
  const started = await startGateway(given, flags);
  after(() => started.close());
  return started;
}

class Client {
  readonly ws: WebSocket;
  readonly events: Event[] = [];
  closed: number | null = null;

  constructor(url: string, headers: Record<string, string> = { authorization: `Bearer ${clear}` }) {
    this.ws = new WebSocket(`${url.replace("http", "ws")}/v1/responses`, { headers });
    this.ws.on("message", (data) => void this.events.push(JSON.parse(data.toString("utf8")) as Event));
    this.ws.on("close", (code) => {
      this.closed = code;
    });
    this.ws.on("error", () => undefined);
  }

  async opened(): Promise<this> {
    await once(this.ws, "open");
    return this;
  }

  send(event: Event): void {
    this.ws.send(JSON.stringify({ type: "response.create", model: "gpt-4o", ...event }));
  }

  /** The event of this type, once `count` of them have come. */
  last(type: string, count = 1): Promise<Event> {
    return eventually(() => {
      const ofType = this.events.filter((event) => event["type"] === type);
      return ofType.length >= count ? ofType[count - 1] : null;
    });
  }

  async ended(): Promise<number> {
    await eventually(() => this.closed !== null);
    return this.closed ?? 0;
  }
}

async function client(url: string, headers?: Record<string, string>): Promise<Client> {
  const made = await new Client(url, headers).opened();
  after(() => made.ws.terminate());
  return made;
}

const idOf = (event: Event): string => (event["response"] as { id: string }).id;
const codeOf = (event: Event): unknown => (event["error"] as Event)["code"];
const inputs = (): unknown[] => upstream.requests.map(({ json }) => json["input"]);
const user = (content: string): Event => ({ role: "user", content });
const assistant = {
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text: "Hello", annotations: [] }],
};

describe("a WebSocket on /v1/responses", () => {
  it("serves one response after another, with the events of the API", async () => {
    const { url } = await gateway();
    const one = await client(url);
    one.send({ input: "Hi" });
    one.send({ input: "Hi again" });
    await one.last("response.completed", 2);
    assert.deepEqual(
      one.events.map(({ type }) => type),
      [1, 2].flatMap(() => ["response.created", "response.output_text.delta", "response.completed"]),
    );
    assert.deepEqual(inputs(), ["Hi", "Hi again"]);
  });

  it("continues from the last response where only new items are sent", async () => {
    const { url } = await gateway();
    const one = await client(url);
    one.send({ store: false, input: "Hi" });
    const first = idOf(await one.last("response.completed"));
    one.send({
      store: false,
      previous_response_id: first,
      input: [user("Next"), { type: "item", big: 12345678901234567890n.toString() }],
    });
    const second = idOf(await one.last("response.completed", 2));
    one.send({ store: false, previous_response_id: second, input: [] });
    await one.last("response.completed", 3);
    const next = [user("Next"), { type: "item", big: "12345678901234567890" }];
    // Nothing is stored, so that ids and plain reasoning would be unknown.
    assert.deepEqual(inputs(), ["Hi", [user("Hi"), assistant, ...next], [user("Hi"), assistant, ...next, assistant]]);
  });

  it("keeps what the provider stores as it is", async () => {
    const { url } = await gateway();
    const one = await client(url);
    one.send({ input: "Hi" });
    one.send({ previous_response_id: idOf(await one.last("response.completed")), input: "Next" });
    await one.last("response.completed", 2);
    const items = inputs()[1] as Event[];
    assert.deepEqual(
      items.map(({ type, id }) => [type, typeof id]),
      [
        [undefined, "undefined"],
        ["reasoning", "string"],
        ["message", "string"],
        [undefined, "undefined"],
      ],
    );
  });

  it("warms up without asking the provider", async () => {
    const { url } = await gateway();
    const one = await client(url);
    one.send({ generate: false, store: false, input: [user("Long context")] });
    const warm = idOf(await one.last("response.completed"));
    assert.equal(upstream.requests.length, 0);
    one.send({ store: false, previous_response_id: warm, input: [user("Go")] });
    await one.last("response.completed", 2);
    assert.deepEqual(inputs(), [[user("Long context"), user("Go")]]);
  });

  it("says what it doesn't remember, and forgets what failed", async () => {
    const { url } = await gateway();
    const one = await client(url);
    one.send({ store: false, previous_response_id: "resp_other", input: "Next" });
    assert.equal(codeOf(await one.last("error")), "previous_response_not_found");
    one.send({ store: false, input: "Hi" });
    const first = idOf(await one.last("response.completed"));
    upstream.answer((_request, response) =>
      json(response, 400, { error: { message: "no", code: "bad", type: "invalid_request_error" } }),
    );
    one.send({ store: false, previous_response_id: first, input: "Next" });
    assert.equal((await one.last("error", 2))["status"], 400);
    one.send({ store: false, previous_response_id: first, input: "Next" });
    assert.equal(codeOf(await one.last("error", 3)), "previous_response_not_found");
  });

  it("serves lanes side by side, and names the lane in each event", async () => {
    const { url } = await gateway();
    const waiting: (() => void)[] = [];
    upstream.answer(
      (request, response) => new Promise((resolve) => waiting.push(() => resolve(responses(request, response)))),
    );
    const one = await client(url);
    one.send({ stream_id: "a", input: "1" });
    one.send({ stream_id: "a", input: "2" });
    one.send({ stream_id: "b", input: "3" });
    await eventually(() => waiting.length === 2);
    for (const go of waiting.splice(0)) go();
    await eventually(() => waiting.length === 1);
    for (const go of waiting) go();
    await one.last("response.completed", 3);
    assert.deepEqual(one.events.map((event) => event["stream_id"]).sort(), [..."aaaaaabbb"]);
  });

  it("passes each response through every stage", async () => {
    const budget = { kind: "Budget", metadata: { name: "two" }, spec: { limits: [{ requests: 2, window: "1h" }] } };
    const started = await gateway(manifests({}, budget));
    const one = await client(started.url);
    for (const input of ["1", "2", "3"]) one.send({ input });
    const refused = await one.last("error");
    assert.deepEqual([refused["status"], codeOf(refused)], [429, "rate_limit_exceeded"]);
    assert.ok(Number((refused["headers"] as Record<string, string>)["retry-after"]) > 0);
    one.send({ model: "other", input: "Hi" });
    assert.equal(codeOf(await one.last("error", 2)), "model_not_found");
    const calls = await eventually(() => {
      const logged = started.logs.filter(({ msg }) => msg === "call");
      return logged.length >= 5 ? logged : null;
    });
    assert.deepEqual(
      calls.map((line) => [line["operation"], line["status"]]),
      [
        ["socket", 101],
        ["openai.responses", 200],
        ["openai.responses", 200],
        ["openai.responses", 429],
        ["openai.responses", 404],
      ],
    );
    assert.deepEqual(new Set(calls.slice(1).map(({ request_id }) => request_id)).size, 4);
    await started.state.ledger.flush();
    const rows = await started.state.store.readLedger(0, Date.now() + 3_600_000);
    assert.equal(
      rows.reduce((sum, row) => sum + row.costNanoUsd, 0),
      2 * (10 * 2_000 + 5 * 10_000),
    );
  });

  it("refuses a key from the moment it is revoked", async () => {
    const started = await gateway();
    const one = await client(started.url);
    one.send({ input: "Hi" });
    await one.last("response.completed");
    await started.apply(manifests().filter(({ metadata }) => !metadata.name.startsWith("alice")));
    one.send({ input: "Hi" });
    assert.equal((await one.last("error"))["status"], 401);
  });

  const refusals: { name: string; headers: Record<string, string>; flags?: string[]; status: number; code: string }[] =
    [
      { name: "without a key", headers: {}, status: 401, code: "missing_api_key" },
      {
        name: "with a wrong key",
        headers: { authorization: "Bearer slc_nobody_0001_0123456789" },
        status: 401,
        code: "invalid_api_key",
      },
      {
        name: "from another site's page",
        headers: { authorization: `Bearer ${clear}`, origin: "https://evil.example" },
        status: 403,
        code: "origin_not_allowed",
      },
      {
        name: "where they are switched off",
        headers: { authorization: `Bearer ${clear}` },
        flags: ["--web-sockets", "false"],
        status: 426,
        code: "upgrade_required",
      },
      {
        name: "where node:http serves",
        headers: { authorization: `Bearer ${clear}` },
        flags: ["--http1", "Node"],
        status: 426,
        code: "upgrade_required",
      },
    ];
  for (const { name, headers, flags = [], status, code } of refusals)
    it(`is refused ${name}`, async () => {
      const { url } = await gateway(manifests(), flags);
      const { ws } = new Client(url, headers);
      const [, response] = (await once(ws, "unexpected-response")) as [
        unknown,
        AsyncIterable<Buffer> & { statusCode: number },
      ];
      let text = "";
      for await (const piece of response) text += piece.toString("utf8");
      assert.deepEqual([response.statusCode, codeOf(JSON.parse(text) as Event)], [status, code]);
    });

  it("gets the place of an idle connection of the caller with the most", async () => {
    const { url } = await gateway(manifests({}, ...key("bob", "slc_bob_key_000001_0123456789")), [
      "--max-web-sockets=2",
    ]);
    const [first, second] = [await client(url), await client(url)];
    second.send({ input: "Hi" });
    await second.last("response.completed");
    const bob = await client(url, { authorization: "Bearer slc_bob_key_000001_0123456789" });
    assert.equal(await first.ended(), 1013);
    bob.send({ input: "Hi" });
    await bob.last("response.completed");
    second.send({ input: "Again" });
    await second.last("response.completed", 2);
  });

  it("is refused beyond the number of connections", async () => {
    const { url } = await gateway(manifests(), ["--max-web-sockets", "1"]);
    const one = await client(url);
    const [, response] = (await once(new Client(url).ws, "unexpected-response")) as [unknown, { statusCode: number }];
    assert.equal(response.statusCode, 503);
    one.ws.close();
    await one.ended();
    await eventually(async () => {
      const next = new Client(url);
      after(() => next.ws.terminate());
      return await Promise.race([
        once(next.ws, "open").then(() => true),
        once(next.ws, "unexpected-response").then(() => false),
      ]);
    });
  });

  const odd: { name: string; send: (one: Client) => void; code: string }[] = [
    { name: "text that is not JSON", send: ({ ws }) => ws.send("{"), code: "invalid_json" },
    { name: "a list", send: ({ ws }) => ws.send("[]"), code: "invalid_json" },
    {
      name: "a member twice",
      send: ({ ws }) => ws.send('{"type":"response.create","type":"x"}'),
      code: "invalid_json",
    },
    { name: "another event", send: ({ ws }) => ws.send('{"type":"response.cancel"}'), code: "invalid_value" },
    { name: "background", send: (one) => one.send({ background: true, input: "Hi" }), code: "unsupported_parameter" },
    { name: "a lane that is no text", send: (one) => one.send({ stream_id: 7, input: "Hi" }), code: "invalid_value" },
    {
      name: "no model",
      send: ({ ws }) => ws.send('{"type":"response.create","input":"Hi"}'),
      code: "missing_required_parameter",
    },
  ];
  it("answers what is no event of the API with an error, and goes on", async () => {
    const { url } = await gateway();
    const one = await client(url);
    for (const [index, { name, send, code }] of odd.entries()) {
      send(one);
      const error = await one.last("error", index + 1);
      assert.deepEqual([error["status"], codeOf(error)], [400, code], name);
    }
    one.send({ input: "Hi" });
    await one.last("response.completed");
  });

  it("has at most 32 lanes", async () => {
    const { url } = await gateway();
    const one = await client(url);
    for (let lane = 0; lane < 33; lane++) one.send({ stream_id: `l${lane}`, generate: false, input: [] });
    assert.equal(codeOf(await one.last("error")), "websocket_stream_limit_reached");
  });

  it("closes on binary messages, messages that are too large, and floods of what can't be read", async () => {
    const { url } = await gateway();
    const binary = await client(url);
    binary.ws.send(Buffer.from("{}"));
    assert.equal(await binary.ended(), 1003);
    const large = await client(url);
    large.ws.send("x".repeat(33_554_433));
    assert.equal(await large.ended(), 1009);
    const flood = await client(url);
    for (let count = 0; count < 200; count++) flood.ws.send("{");
    assert.equal(await flood.ended(), 1008);
  });

  it("closes on frames that break the protocol", async () => {
    const { url } = await gateway();
    const port = Number(new URL(url).port);
    const handshake = `GET /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${clear}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`;
    // Unmasked, a reserved bit, an unknown opcode, a length of 2^63, a fragmented ping, a continuation of nothing.
    const frames = [
      "810161",
      "f18100000000",
      "838100000000",
      "81ffffffffffffffffff00000000",
      "098000000000",
      "808000000000",
    ];
    for (const frame of frames) {
      const socket = connect(port, "127.0.0.1");
      after(() => socket.destroy());
      socket.write(handshake);
      const [head] = (await once(socket, "data")) as [Buffer];
      assert.match(head.toString("latin1"), /^HTTP\/1\.1 101 /);
      socket.write(Buffer.from(frame, "hex"));
      socket.resume();
      await once(socket, "close");
    }
    const one = await client(url);
    one.send({ input: "Hi" });
    await one.last("response.completed");
  });

  it("refuses a handshake that is none", async () => {
    const { url } = await gateway();
    const headers = { authorization: `Bearer ${clear}`, upgrade: "websocket", connection: "upgrade" };
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    after(() => socket.destroy());
    const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET /v1/responses HTTP/1.1\r\nhost: x\r\n${fields.join("")}\r\n`);
    const [head] = (await once(socket, "data")) as [Buffer];
    assert.match(head.toString("latin1"), /^HTTP\/1\.1 400 [\s\S]*not a WebSocket handshake/);
  });

  it("ends the call of a client that goes away", async () => {
    const started = await gateway();
    let gone = false;
    upstream.answer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n');
      response.on("close", () => {
        gone = true;
      });
    });
    const one = await client(started.url);
    one.send({ input: "Hi" });
    await one.last("response.output_text.delta");
    one.ws.terminate();
    await eventually(() => gone);
  });

  it("is closed when it is idle, and when its time is over", async () => {
    const idle = await client((await gateway(manifests(), ["--web-socket-idle-ms", "1000"])).url);
    assert.equal(await idle.ended(), 1000);
    const old = await client((await gateway(manifests(), ["--web-socket-max-ms", "1000"])).url);
    assert.equal(await old.ended(), 1000);
    assert.equal(codeOf(await old.last("error")), "websocket_connection_limit_reached");
  });

  it("lets a response finish when the proxy stops, and then says that it goes", async () => {
    const started = await startGateway(manifests());
    let go: () => void = () => undefined;
    upstream.answer(
      (request, response) =>
        new Promise((resolve) => {
          go = () => resolve(responses(request, response));
        }),
    );
    const [busy, idle] = [await client(started.url), await client(started.url)];
    busy.send({ input: "Hi" });
    await eventually(() => upstream.requests.length === 1);
    const stopped = started.close();
    await idle.ended();
    go();
    await busy.last("response.completed");
    assert.equal(await busy.ended(), 1001);
    await stopped;
  });
});
