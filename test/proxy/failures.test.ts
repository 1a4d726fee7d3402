import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { type Answer, chatFrames, json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const good = { model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] };

/** Each row has its own model, because the gateway keeps what it learns from answers per model. */
const ownModels = Array.from({ length: 40 }, (_, at) => `own-${at}`);

interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

describe("the answer to a caller", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  const post = (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
    path = "/v1/chat/completions",
  ): Promise<Response> =>
    fetch(`${gateway.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json", ...headers },
      body,
    });

  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      provider("up", upstream.url, {
        models: [{ name: "gpt-4o" }, { name: "retired", sunset: "2026-12-01" }, ...ownModels.map((name) => ({ name }))],
        circuitBreaker: { failureThreshold: 1000 },
      }),
      secret("up-credentials", { apiKey: "sk-upstream-secret" }),
      // Only providers that go silent get a short limit, because a busy machine can delay the others.
      provider("quiet", upstream.url, {
        timeouts: { firstToken: "300ms", response: "300ms", idle: "300ms" },
        models: [{ name: "quiet" }],
        circuitBreaker: { failureThreshold: 1000 },
      }),
      secret("quiet-credentials", { apiKey: "sk-upstream-secret" }),
      policy("quiet", { match: { models: ["quiet"] }, routing: { targets: [{ provider: { name: "quiet" } }] } }),
      policy("chat", {
        match: { models: ["gpt-4o", "retired", ...ownModels] },
        routing: { targets: [{ provider: { name: "up" } }] },
      }),
      provider("gone", "http://127.0.0.1:9", { models: [{ name: "unreachable" }] }),
      secret("gone-credentials", { apiKey: "sk-gone" }),
      policy("gone", { match: { models: ["unreachable"] }, routing: { targets: [{ provider: { name: "gone" } }] } }),
      provider("internal", "http://127.0.0.1:9", { allowPrivateEndpoint: false, models: [{ name: "internal" }] }),
      secret("internal-credentials", { apiKey: "sk-internal" }),
      policy("internal", {
        match: { models: ["internal"] },
        routing: { targets: [{ provider: { name: "internal" } }] },
      }),
      ...key("alice", clear),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  const deep = `{"model":"gpt-4o","messages":${"[".repeat(200)}${"]".repeat(200)}}`;
  const bodies: {
    name: string;
    body: string | Uint8Array<ArrayBuffer>;
    status: number;
    code: string;
    param?: string;
    headers?: Record<string, string>;
  }[] = [
    { name: "an empty body", body: "", status: 400, code: "empty_body", param: "messages" },
    { name: "a body that is not JSON", body: '{"model": ', status: 400, code: "invalid_json" },
    { name: "a body that is a list", body: "[1]", status: 400, code: "invalid_json" },
    {
      name: "invalid UTF-8",
      body: Uint8Array.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
      status: 400,
      code: "invalid_utf8",
    },
    {
      name: "a member given twice",
      body: '{"model":"gpt-4o","model":"gpt-4o","messages":[]}',
      status: 400,
      code: "invalid_json",
    },
    {
      name: "a member named __proto__",
      body: '{"__proto__":{"x":1},"model":"gpt-4o","messages":[]}',
      status: 400,
      code: "invalid_json",
    },
    { name: "a body that nests too deep", body: deep, status: 400, code: "invalid_json" },
    {
      name: "no messages",
      body: '{"model":"gpt-4o"}',
      status: 400,
      code: "missing_required_parameter",
      param: "messages",
    },
    { name: "no model", body: '{"messages":[]}', status: 400, code: "missing_required_parameter", param: "model" },
    {
      name: "a model that is a number",
      body: '{"model":4,"messages":[]}',
      status: 400,
      code: "invalid_value",
      param: "model",
    },
    {
      name: "a stream that is a word",
      body: '{"model":"gpt-4o","stream":"yes","messages":[]}',
      status: 400,
      code: "invalid_value",
      param: "stream",
    },
    {
      name: "an unknown model",
      body: '{"model":"gpt-9","messages":[]}',
      status: 404,
      code: "model_not_found",
      param: "model",
    },
    { name: "a body over the limit", body: Buffer.alloc(33_554_433, 32), status: 413, code: "request_too_large" },
    {
      name: "a body that is XML",
      body: "<x/>",
      headers: { "content-type": "text/xml" },
      status: 415,
      code: "unsupported_media_type",
    },
    {
      name: "a compressed body",
      body: "x",
      headers: { "content-encoding": "br" },
      status: 415,
      code: "unsupported_media_type",
    },
  ];
  for (const { name, body, status, code, param, headers } of bodies) {
    it(`for ${name}: ${status} ${code}`, async () => {
      const before = upstream.requests.length;
      const answer = await post(body, headers);
      const { error } = (await answer.json()) as ErrorBody;
      assert.deepEqual([answer.status, error.code, error.param], [status, code, param ?? null]);
      assert.ok(error.message.length > 10);
      assert.ok(answer.headers.get("x-request-id"));
      assert.equal(upstream.requests.length, before);
    });
  }

  const addresses: { method: string; path: string; status: number; code: string; says?: RegExp; allow?: string }[] = [
    {
      method: "POST",
      path: "/v1/nothing",
      status: 404,
      code: "unknown_url",
      says: /no such operation\. It has, under \/v1: chat\/completions, /,
    },
    { method: "POST", path: "/v1/videos", status: 404, code: "unknown_url", says: /no such operation/ },
    { method: "POST", path: "/v1/v1/chat/completions", status: 404, code: "unknown_url", says: /\/v1 twice/ },
    { method: "POST", path: "/chat/completions", status: 404, code: "unknown_url", says: /lacks its \/v1/ },
    { method: "POST", path: "/", status: 404, code: "unknown_url", says: /Check the base URL/ },
    { method: "POST", path: "/v1/../v1/chat/completions/..%2f", status: 404, code: "unknown_url" },
    {
      method: "GET",
      path: "/v1/chat/completions",
      status: 405,
      code: "method_not_allowed",
      says: /GET is not allowed here\. Use POST\./,
      allow: "POST",
    },
    {
      method: "DELETE",
      path: "/v1/models",
      status: 405,
      code: "method_not_allowed",
      says: /Use GET or HEAD\./,
      allow: "GET, HEAD",
    },
    {
      method: "PUT",
      path: "/v1/files",
      status: 405,
      code: "method_not_allowed",
      says: /Use GET or POST\./,
      allow: "GET, POST",
    },
    {
      method: "POST",
      path: "/v1/sluice/usage",
      status: 405,
      code: "method_not_allowed",
      says: /Use GET or HEAD\./,
      allow: "GET, HEAD",
    },
  ];
  for (const { method, path, status, code, says, allow } of addresses) {
    it(`for ${method} ${path}: ${status} ${code}`, async () => {
      const answer = await fetch(`${gateway.url}${path}`, { method, headers: { authorization: `Bearer ${clear}` } });
      const { error } = (await answer.json()) as ErrorBody;
      assert.deepEqual([answer.status, error.code, answer.headers.get("allow")], [status, code, allow ?? null]);
      assert.match(error.message, says ?? /./);
    });
  }

  const credentials: [name: string, headers: Record<string, string>, code: string, says: RegExp][] = [
    ["no key", {}, "missing_api_key", /No API key was given/],
    [
      "a variable that is not set",
      { authorization: "Bearer " },
      "missing_api_key",
      /header is empty\. Check that the variable/,
    ],
    ["the same in x-api-key", { "x-api-key": "" }, "missing_api_key", /header is empty/],
    ["a key without a scheme", { authorization: clear }, "invalid_api_key", /Authorization: Bearer KEY/],
    ["another scheme", { authorization: "Basic YTpi" }, "invalid_api_key", /Authorization: Bearer KEY/],
    ["a key of a provider", { authorization: "Bearer sk-proj-1234" }, "invalid_api_key", /not known here/],
  ];
  for (const [name, headers, code, says] of credentials)
    it(`for ${name}: 401 ${code}, with what to do`, async () => {
      const answer = await fetch(`${gateway.url}/v1/models`, { headers });
      const { error } = (await answer.json()) as ErrorBody;
      assert.deepEqual([answer.status, error.code], [401, code]);
      assert.match(error.message, says);
    });

  const blanks = new Uint8Array(33_554_433).fill(0x20);
  for (const [name, body] of [
    ["whose length is given", () => blanks],
    ["whose length is not", () => new Blob([blanks]).stream()],
  ] as const)
    it(`for a body over the limit ${name}: the setting that the platform team can raise`, async () => {
      const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: body(),
        duplex: "half",
      });
      const { error } = (await answer.json()) as ErrorBody;
      assert.equal(
        error.message,
        "The request body is larger than 33554432 bytes. Send a smaller one, or ask the platform team to raise proxy.maxBodyBytes in the gateway's Helm values.",
      );
    });

  const elsewhere: [path: string, body: object, says: RegExp][] = [
    [
      "/v1/completions",
      { model: "gpt-4o", messages: [] },
      /no `prompt`, but `messages`, which is for \/chat\/completions/,
    ],
    ["/v1/chat/completions", { model: "gpt-4o", input: "Hi" }, /no `messages`, but `input`, which is for \/responses/],
    ["/v1/responses", { model: "gpt-4o", messages: [] }, /no `input`, but `messages`/],
    ["/v1/chat/completions", { model: "gpt-4o" }, /no `messages`\. Add it/],
  ];
  for (const [path, body, says] of elsewhere)
    it(`for a body of another API at ${path}: ${JSON.stringify(body)}`, async () => {
      const headers = { authorization: `Bearer ${clear}`, "content-type": "application/json" };
      const answer = await fetch(`${gateway.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
      const { error } = (await answer.json()) as ErrorBody;
      assert.deepEqual([answer.status, error.code], [400, "missing_required_parameter"]);
      assert.match(error.message, says);
    });

  it("for a browser's preflight if no page may call: what the platform team can do", async () => {
    const headers = { origin: "https://chat.example.com", "access-control-request-method": "POST" };
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, { method: "OPTIONS", headers });
    const { error } = (await answer.json()) as ErrorBody;
    assert.deepEqual([answer.status, error.code], [403, "origin_not_allowed"]);
    assert.match(error.message, /cors\.allowedOrigins/);
  });

  it("for a request that is not HTTP: 400 in the envelope", async () => {
    const { hostname, port } = new URL(gateway.url);
    const raw = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () =>
        socket.write(
          "POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
      );
      let text = "";
      socket.on("data", (data) => {
        text += data;
      });
      socket.on("end", () => resolve(text));
      socket.on("error", reject);
    });
    assert.match(raw, /^HTTP\/1\.1 400 /);
    assert.match(raw, /"code":"invalid_value"/);
  });

  const html: Answer = (_request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end("<html>maintenance</html>");
  };
  const refuses =
    (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
    (_request, response) =>
      json(response, status, body, headers);
  const never: Answer = () => undefined;
  const upstreams: {
    name: string;
    answer: Answer;
    status: number;
    code: string;
    retryAfter?: string;
    shouldRetry?: string;
  }[] = [
    { name: "answers HTML", answer: html, status: 502, code: "upstream_invalid_response", shouldRetry: "false" },
    {
      name: "answers half a JSON body",
      answer: (_request, response) => {
        response.writeHead(200, { "content-type": "application/json" });
        response.end('{"id":"x","choices":[');
      },
      status: 502,
      code: "upstream_invalid_response",
    },
    {
      name: "resets the connection",
      answer: (_request, response) => void response.destroy(),
      status: 502,
      code: "upstream_unreachable",
    },
    { name: "never answers", answer: never, status: 504, code: "upstream_timeout" },
    {
      name: "refuses our credential",
      answer: refuses(401, { error: { message: "Incorrect API key provided: sk-ups***cret" } }),
      status: 502,
      code: "upstream_auth_error",
    },
    {
      name: "is out of quota",
      answer: refuses(429, { error: { message: "slow down", code: "rate_limit_exceeded" } }, { "retry-after": "7" }),
      status: 429,
      code: "upstream_rate_limited",
      retryAfter: "7",
    },
    {
      name: "is overloaded",
      answer: refuses(503, { error: { message: "later" } }),
      status: 503,
      code: "upstream_unavailable",
    },
    { name: "has a bug", answer: refuses(500, "oops"), status: 502, code: "upstream_error" },
    {
      name: "refuses the request",
      answer: refuses(400, { error: { message: "temperature is too high", param: "temperature" } }),
      status: 400,
      code: "upstream_rejected_request",
    },
    {
      name: "says the prompt is too long",
      answer: refuses(400, { error: { message: "too long", code: "context_length_exceeded" } }),
      status: 400,
      code: "context_length_exceeded",
    },
  ];
  for (const [index, { name, answer: scripted, status, code, retryAfter, shouldRetry }] of upstreams.entries()) {
    for (const stream of [false, true]) {
      const model = scripted === never ? "quiet" : ownModels[2 * index + (stream ? 1 : 0)];
      it(`for a provider that ${name}${stream ? ", when streaming" : ""}: ${status} ${code}`, async () => {
        upstream.answer(scripted);
        const answer = await post(JSON.stringify({ ...good, model, stream }));
        const text = await answer.text();
        const { error } = JSON.parse(text) as ErrorBody;
        assert.deepEqual([answer.status, error.code], [status, code]);
        assert.doesNotMatch(text, /sk-|<html|ups\*/);
        if (retryAfter !== undefined) assert.equal(answer.headers.get("retry-after"), retryAfter);
        if (shouldRetry !== undefined) assert.equal(answer.headers.get("x-should-retry"), shouldRetry);
      });
    }
  }

  it("for a provider that can't be reached: 502", async () => {
    const answer = await post(JSON.stringify({ ...good, model: "unreachable" }));
    assert.deepEqual([answer.status, ((await answer.json()) as ErrorBody).error.code], [502, "upstream_unreachable"]);
  });

  it("for an endpoint at a forbidden address: 502, and no connection", async () => {
    const answer = await post(JSON.stringify({ ...good, model: "internal" }));
    const { error } = (await answer.json()) as ErrorBody;
    assert.equal(answer.status, 502);
    assert.match(error.message, /not allowed/);
  });

  it("for a model that will be withdrawn: a Sunset header", async () => {
    upstream.answer(openai);
    const answer = await post(JSON.stringify({ ...good, model: "retired" }));
    await answer.arrayBuffer();
    assert.equal(answer.headers.get("sunset"), "Tue, 01 Dec 2026 00:00:00 GMT");
    assert.equal(answer.headers.get("x-provider-used"), "up");
  });

  const frames = chatFrames("gpt-4o", ["one", "two"], true);
  const breaks: { name: string; code: string; finish: (write: (text: string) => void, end: () => void) => void }[] = [
    { name: "ends without its marker", code: "upstream_stream_truncated", finish: (_write, end) => end() },
    {
      name: "sends an error event",
      code: "upstream_error",
      finish: (write, end) => [write('data: {"error":{"message":"engine died"}}\n\n'), end()],
    },
    { name: "goes quiet", code: "upstream_timeout", finish: () => undefined },
    {
      name: "sends what is no JSON",
      code: "upstream_invalid_response",
      finish: (write, end) => [write('data: {"usage": nonsense\n\n'), end()],
    },
  ];
  for (const { name, code, finish } of breaks) {
    it(`in a stream that ${name}: an error event, and no [DONE]`, async () => {
      upstream.answer((_request, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(frames.slice(0, 3).join(""));
        setImmediate(() =>
          finish(
            (text) => response.write(text),
            () => response.end(),
          ),
        );
      });
      const answer = await post(
        JSON.stringify({ ...good, model: code === "upstream_timeout" ? "quiet" : good.model, stream: true }),
      );
      const text = await answer.text();
      assert.equal(answer.status, 200);
      assert.match(text, /"content":"two"/);
      assert.doesNotMatch(text, /\[DONE\]/);
      const last = text.trim().split("\n\n").at(-1) ?? "";
      assert.equal((JSON.parse(last.replace(/^data: /, "")) as ErrorBody).error.code, code);
      await eventually(() => gateway.logs.some((line) => line["code"] === code && line["outcome"] === "stream_error"));
    });
  }

  it("is the same stream however the provider's bytes are split", async () => {
    const whole = chatFrames("gpt-4o", ["Grüße", " 🎉 ", "日本"], true).join("").replaceAll("\n", "\r\n");
    upstream.answer(async (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const byte of Buffer.from(`: keep-alive\r\n\r\n${whole}`)) {
        response.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    });
    const text = await (await post(JSON.stringify({ ...good, stream: true }))).text();
    const said = [...text.matchAll(/"content":"([^"]*)"/g)].map((found) => found[1]).join("");
    assert.equal(said, "Grüße 🎉 日本");
    assert.match(text, /\[DONE\]/);
  });

  it("ends with the client's connection: the provider's call is aborted before and during the answer", async () => {
    for (const answerFirst of [false, true]) {
      upstream.answer((_request, response) => {
        if (!answerFirst) return;
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(frames.slice(0, 2).join(""));
      });
      const controller = new AbortController();
      const before = upstream.requests.length;
      const pending = fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        signal: controller.signal,
        headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
        body: JSON.stringify({ ...good, stream: true }),
      }).then((answer) => answer.text());
      const request = await eventually(() => upstream.requests[before]);
      controller.abort();
      await assert.rejects(pending);
      await request.aborted;
    }
    await eventually(() => gateway.logs.some((line) => line["outcome"] === "client_closed"));
    await eventually(async () => ((await gateway.status())["inFlight"] as number) === 0);
  });

  it("leaves no credential in logs, metrics or status", async () => {
    const everything = gateway.logText() + (await gateway.metrics()) + JSON.stringify(await gateway.status());
    for (const planted of [
      "sk-upstream-secret",
      "sk-gone",
      clear,
      Buffer.from("sk-upstream-secret").toString("base64"),
    ])
      assert.ok(!everything.includes(planted), planted);
  });
});
