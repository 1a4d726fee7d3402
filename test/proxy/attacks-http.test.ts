/** Attacks on the wire: framing that two servers parse differently, repeated headers, disguised paths, and excessive sizes. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { raw } from "../harness/raw-http.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_alice_key_0001";
const other = "slc_mallory_key_01";
const body = '{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}';
const size = body.length;
const hex = size.toString(16);
const chunks = `${hex}\r\n${body}\r\n0\r\n\r\n`;
const smuggled = `POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${body}`;

/** `headers` are complete lines. A correct Content-Length is added unless they set the framing. */
function request(headers: string, more: { line?: string; body?: string; key?: string; host?: string } = {}): string {
  const framed = /content-length|transfer-encoding/i.test(headers) ? "" : `Content-Length: ${size}\r\n`;
  const lines = `${more.host ?? "Host: a\r\n"}${more.key ?? `Authorization: Bearer ${clear}\r\n`}Content-Type: application/json\r\n`;
  return `${more.line ?? "POST /v1/chat/completions HTTP/1.1"}\r\n${lines}${headers}${framed}\r\n${more.body ?? body}`;
}

const at = (path: string, method = "POST"): string => request("", { line: `${method} ${path} HTTP/1.1` });
const json = (text: string): string => request(`Content-Length: ${text.length}\r\n`, { body: text });
const list = (name: string, count: number, entry: string): string =>
  `{"model":"gpt-4o","messages":[],"${name}":[${Array(count).fill(entry).join(",")}]}`;

describe("attacks over HTTP", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway([
      provider("up", upstream.url),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
      policy("open", {
        match: { pathPrefix: "/open" },
        access: { anonymous: true },
        routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
      }),
      policy("fixed", {
        match: { pathPrefix: "/fixed" },
        access: { anonymous: true },
        request: { overrides: { topK: 1 }, defaults: { user: "nobody" } },
        routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
      }),
      policy("closed", {
        match: { pathPrefix: "/closed" },
        access: { roles: ["admin"] },
        routing: { targets: [{ provider: { name: "up" }, model: "gpt-4o" }] },
      }),
      ...key("alice", clear),
      ...key("mallory", other),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  const bad = { status: 400, code: "invalid_value" };
  const invalidJson = { status: 400, code: "invalid_json" };
  const twice = { status: 400, code: "duplicate_header" };
  const unknown = { status: 404, code: "unknown_url" };
  const groups: Record<string, [what: string, sent: string, expected: { status: number; code: string }][]> = {
    "the body's end": [
      [
        "length and chunks",
        request(`Content-Length: ${size}\r\nTransfer-Encoding: chunked\r\n`, { body: chunks }),
        bad,
      ],
      [
        "chunks and length",
        request(`Transfer-Encoding: chunked\r\nContent-Length: ${size}\r\n`, { body: chunks }),
        bad,
      ],
      ["two lengths that differ", request(`Content-Length: ${size}\r\nContent-Length: 3\r\n`), bad],
      ["two lengths that agree", request(`Content-Length: ${size}\r\nContent-Length: ${size}\r\n`), bad],
      ["a list of lengths", request(`Content-Length: ${size}, ${size}\r\n`), bad],
      ["a length with a sign", request(`Content-Length: +${size}\r\n`), bad],
      ["a length below zero", request("Content-Length: -1\r\n"), bad],
      ["a length in hex", request(`Content-Length: 0x${hex}\r\n`), bad],
      ["an empty length", request("Content-Length: \r\n"), bad],
      ["a blank before the colon", request(`Content-Length : ${size}\r\n`), bad],
      ["a length that ends too soon", request("Content-Length: 3\r\n"), bad],
      ["an unknown coding", request("Transfer-Encoding: xchunked\r\n", { body: chunks }), bad],
      ["identity", request("Transfer-Encoding: identity\r\n", { body: chunks }), bad],
      ["chunked, then identity", request("Transfer-Encoding: chunked, identity\r\n", { body: chunks }), bad],
      ["chunked twice", request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", { body: chunks }), bad],
      [
        "two codings in two headers",
        request("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", { body: chunks }),
        bad,
      ],
      ["a coding before chunked", request("Transfer-Encoding: gzip, chunked\r\n", { body: chunks }), bad],
      ["a vertical tab before chunked", request("Transfer-Encoding: \x0bchunked\r\n", { body: chunks }), bad],
      ["a blank before its colon", request("Transfer-Encoding : chunked\r\n", { body: chunks }), bad],
      [
        "chunks in HTTP/1.0",
        request("Transfer-Encoding: chunked\r\n", { body: chunks, line: "POST /v1/chat/completions HTTP/1.0" }),
        bad,
      ],
      [
        "a chunk size that is not a number",
        request("Transfer-Encoding: chunked\r\n", { body: `zz\r\n${body}\r\n0\r\n\r\n` }),
        bad,
      ],
      [
        "a chunk size with 0x",
        request("Transfer-Encoding: chunked\r\n", { body: `0x${hex}\r\n${body}\r\n0\r\n\r\n` }),
        bad,
      ],
      [
        "a chunk size that overflows",
        request("Transfer-Encoding: chunked\r\n", { body: `ffffffffffffffffff\r\n${body}\r\n0\r\n\r\n` }),
        bad,
      ],
      [
        "chunks whose lines end in LF alone",
        request("Transfer-Encoding: chunked\r\n", { body: `${hex}\n${body}\n0\n\n` }),
        bad,
      ],
      [
        "an LF in a chunk's extension",
        request("Transfer-Encoding: chunked\r\n", { body: `${hex};a\nb\r\n${body}\r\n0\r\n\r\n` }),
        bad,
      ],
      [
        "extra bytes after a chunk",
        request("Transfer-Encoding: chunked\r\n", { body: `${hex}\r\n${body}XX\r\n0\r\n\r\n` }),
        bad,
      ],
    ],
    headers: [
      ["a folded line", request("X-A: b\r\n c\r\n"), bad],
      ["a folded Authorization", request("", { key: `Authorization: Bearer\r\n ${clear}\r\n` }), bad],
      ["lines that end in LF alone", request("").replaceAll("\r\n", "\n"), bad],
      ["one line that ends in LF alone", request("X-A: b\nX-B: c\r\n"), bad],
      ["a CR alone", request("X-A: b\rX-B: c\r\n"), bad],
      ["a NUL", request("X-A: b\0c\r\n"), bad],
      ["a blank in a name", request("X A: b\r\n"), bad],
      ["a name without a colon", request("XA\r\n"), bad],
      ["a header without a name", request(": b\r\n"), bad],
      ["a blank before the first", request("").replace("Host", " Host"), bad],
      ["two keys, the good one first", request(`Authorization: Bearer ${other}\r\n`), twice],
      [
        "two keys, the good one last",
        request("", { key: `Authorization: Bearer nobody\r\nauthorization: Bearer ${clear}\r\n` }),
        twice,
      ],
      ["two keys that agree", request(`AUTHORIZATION: Bearer ${clear}\r\n`), twice],
      ["x-api-key twice", request("", { key: `x-api-key: ${clear}\r\nX-API-Key: ${other}\r\n` }), twice],
      ["api-key twice", request("", { key: `api-key: ${clear}\r\napi-key: ${other}\r\n` }), twice],
      ["Host twice", request("Host: b\r\n"), twice],
      ["Origin twice", request("Origin: https://a\r\nOrigin: https://b\r\n"), twice],
      ["Content-Type twice", request("Content-Type: text/plain\r\n"), twice],
      ["no Host", request("", { host: "" }), bad],
      [
        "a key that is a list",
        request("", { key: `x-api-key: ${clear}, ${other}\r\n` }),
        { status: 401, code: "invalid_api_key" },
      ],
      [
        "another scheme",
        request("", { key: `Authorization: Basic ${Buffer.from(`x:${clear}`).toString("base64")}\r\n` }),
        { status: 401, code: "invalid_api_key" },
      ],
      [
        "a key in a cookie",
        request("", { key: `Cookie: authorization=${clear}\r\n` }),
        { status: 401, code: "missing_api_key" },
      ],
      [
        "a key in the query",
        request("", { key: "", line: `POST /v1/chat/completions?api_key=${clear}&key=${clear} HTTP/1.1` }),
        { status: 401, code: "missing_api_key" },
      ],
      [
        "too many headers",
        request(Array.from({ length: 120 }, (_, n) => `x-${n}: 1\r\n`).join("")),
        { status: 431, code: "too_many_headers" },
      ],
      ["a header that is too large", request(`x: ${"a".repeat(20_000)}\r\n`), { status: 431, code: "invalid_value" }],
      [
        "a path that is too large",
        at(`/v1/chat/completions?${"a".repeat(20_000)}`),
        { status: 431, code: "invalid_value" },
      ],
      [
        "a key that is too large",
        request("", { key: `Authorization: Bearer ${"a".repeat(9000)}\r\n` }),
        { status: 401, code: "invalid_api_key" },
      ],
    ],
    paths: [
      ["parent segment", at("/v1/../v1/chat/completions"), unknown],
      ["percent-encoded parent segment", at("/v1/%2e%2e/v1/chat/completions"), unknown],
      ["percent-encoded parent segment in capitals", at("/v1/%2E%2E/v1/chat/completions"), unknown],
      ["double percent-encoded parent segment", at("/v1/%252e%252e/v1/chat/completions"), unknown],
      ["a percent-encoded slash", at("/v1/chat%2fcompletions"), unknown],
      ["two leading slashes", at("//v1/chat/completions"), unknown],
      ["two slashes inside the path", at("/v1//chat/completions"), unknown],
      ["a trailing slash", at("/v1/chat/completions/"), unknown],
      ["a dot", at("/v1/./chat/completions"), unknown],
      ["backslashes", at("/v1\\chat\\completions"), unknown],
      ["capitals", at("/V1/chat/completions"), unknown],
      ["a parameter of a segment", at("/v1/chat/completions;v=1"), unknown],
      ["a fragment", at("/v1/chat/completions#/open"), unknown],
      ["a percent-encoded NUL", at("/v1/chat/completions%00"), unknown],
      ["an invalid percent escape", at("/v1/%zz"), unknown],
      ["overlong UTF-8", at("/v1/%c0%ae%c0%ae/chat/completions"), unknown],
      ["a URL of another host", at("http://evil.example.com/v1/chat/completions"), unknown],
      ["from an open path into a closed one", request("", { line: "POST /open/../closed HTTP/1.1", key: "" }), unknown],
      [
        "from an open path with a percent-encoded parent segment",
        request("", { line: "POST /open/%2e%2e/closed HTTP/1.1", key: "" }),
        unknown,
      ],
      [
        "from an open path to /v1",
        request("", { line: "POST /open/../v1/chat/completions HTTP/1.1", key: "" }),
        unknown,
      ],
      ["a path that only starts like an open path", request("", { line: "POST /openx HTTP/1.1", key: "" }), unknown],
      [
        "out of the list of models",
        at("/v1/models/..%2f..%2fchat%2fcompletions", "GET"),
        { status: 404, code: "model_not_found" },
      ],
      ["a blank in the path", at("/v1/chat completions"), bad],
      ["TRACE", at("/v1/models", "TRACE"), { status: 405, code: "method_not_allowed" }],
      [
        "a method that is overridden",
        request("X-HTTP-Method-Override: GET\r\n", { line: "POST /v1/models HTTP/1.1" }),
        { status: 405, code: "method_not_allowed" },
      ],
      [
        "a path that is overridden",
        request("X-Original-URL: /v1/chat/completions\r\nX-Rewrite-URL: /v1/chat/completions\r\n", {
          line: "POST /v1/none HTTP/1.1",
        }),
        unknown,
      ],
      ["an unknown HTTP version", at("/v1/models", "GET").replace("HTTP/1.1", "HTTP/1.2"), bad],
      ["no version", "GET /v1/models\r\n\r\n", bad],
      ["HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bad],
    ],
    bodies: [
      ["a duplicate member", json('{"model":"gpt-4o","model":"other","messages":[]}'), invalidJson],
      [
        "a duplicate member, nested",
        json('{"model":"gpt-4o","messages":[{"role":"user","content":"a","content":"b"}]}'),
        invalidJson,
      ],
      [
        "a duplicate member, once with escapes",
        json('{"model":"gpt-4o","messages":[{"role":"user","content":"a","cont\\u0065nt":"b"}]}'),
        invalidJson,
      ],
      [
        "a duplicate member after a list",
        json('{"model":"gpt-4o","metadata":{"a":[1,{"b":"},{"}],"a":2},"messages":[]}'),
        invalidJson,
      ],
      ["__proto__", json('{"__proto__":{"stream":true},"model":"gpt-4o","messages":[]}'), invalidJson],
      [
        "__proto__ with escapes",
        json('{"\\u005f_proto__":{"stream":true},"model":"gpt-4o","messages":[]}'),
        invalidJson,
      ],
      [
        "__proto__, nested",
        json('{"model":"gpt-4o","messages":[{"role":"user","content":{"__proto__":1}}]}'),
        invalidJson,
      ],
      ["129 levels", json(`{"model":"gpt-4o","messages":${"[".repeat(128)}${"]".repeat(128)}}`), invalidJson],
      ["10,000 levels", json(`{"model":"gpt-4o","messages":${"[".repeat(10_000)}${"]".repeat(10_000)}}`), invalidJson],
      [
        "100,001 messages",
        json(`{"model":"gpt-4o","messages":[${Array(100_001).fill('{"role":"user","content":"a"}').join(",")}]}`),
        bad,
      ],
      ["10,001 tools", json(list("tools", 10_001, '{"type":"function","function":{"name":"f"}}')), bad],
      ["10,001 functions", json(list("functions", 10_001, '{"name":"f"}')), bad],
      [
        "a wrong content type",
        request("", {}).replace("application/json", "multipart/form-data; boundary=x"),
        { status: 415, code: "unsupported_media_type" },
      ],
      ["a compressed body", request("Content-Encoding: gzip\r\n"), { status: 415, code: "unsupported_media_type" }],
      [
        "a length beyond the limit",
        request("Content-Length: 99999999\r\n"),
        { status: 413, code: "request_too_large" },
      ],
      ["a body that is not UTF-8", json(`\xff\xfe${body}`), { status: 400, code: "invalid_utf8" }],
    ],
  };
  for (const [group, cases] of Object.entries(groups)) {
    describe(group, () => {
      for (const [what, sent, { status, code }] of cases) {
        it(`${what}: ${status} ${code}`, async () => {
          const before = upstream.requests.length;
          const answer = await raw(gateway.url, sent);
          assert.deepEqual([answer.statuses[0], answer.codes[0]], [status, code], answer.text);
          assert.equal(upstream.requests.length, before);
        });
      }
    });
  }

  const hidden: [what: string, sent: string][] = [
    ["a short length", request("Content-Length: 3\r\n", { body: `{} ${smuggled}` })],
    [
      "chunks that a length hides",
      request(`Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`, { body: `0\r\n\r\n${smuggled}` }),
    ],
    [
      "a body of GET",
      request(`Content-Length: ${smuggled.length}\r\n`, { line: "GET /v1/models HTTP/1.1", body: smuggled }),
    ],
    [
      "a refused call's body",
      request(`Content-Length: ${smuggled.length}\r\n`, { key: "Authorization: Bearer nobody\r\n", body: smuggled }),
    ],
    [
      "a path that is not served",
      request(`Content-Length: ${smuggled.length}\r\n`, { line: "POST /none HTTP/1.1", body: smuggled }),
    ],
  ];
  for (const [what, sent] of hidden) {
    it(`a request hidden behind ${what} is never served`, async () => {
      const before = upstream.requests.length;
      const answer = await raw(gateway.url, sent);
      assert.equal(upstream.requests.length, before);
      assert.ok(!answer.statuses.slice(1).includes(200), answer.text);
    });
  }

  it("the same server still serves a valid request after all these attacks", async () => {
    const answer = await raw(gateway.url, request(""));
    assert.deepEqual(answer.statuses, [200]);
    const chunked = await raw(gateway.url, request("Transfer-Encoding: chunked\r\n", { body: chunks }));
    assert.deepEqual(chunked.statuses, [200]);
    assert.equal(
      (
        await raw(
          gateway.url,
          json(`{"model":"gpt-4o","messages":[${Array(2048).fill('{"role":"user","content":"a"}').join(",")}]}`),
        )
      ).statuses[0],
      200,
    );
  });

  for (const [path, name, refused] of [
    ["/open", "Model", true],
    ["/open", "MODEL", true],
    ["/open", "max_toKens", true],
    ["/open", "max_to\u212aens", true],
    ["/open", "u\u017fer", true],
    ["/fixed", "TOPK", true],
    ["/fixed", "topk", true],
    ["/fixed", "topK", false],
    ["/open", "topk", false],
    ["/open", "ModelFamily", false],
  ] as const) {
    it(`${path} ${refused ? "refuses" : "lets through"} a member called ${name}`, async () => {
      const sent = JSON.stringify({ messages: [{ role: "user", content: "Hi" }], [name]: 7 });
      const answer = await fetch(`${gateway.url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: sent,
      });
      const said = (await answer.json()) as { error?: { code: string; message: string } };
      assert.deepEqual([answer.status, said.error?.code], refused ? [400, "invalid_value"] : [200, undefined]);
      if (refused) assert.match(said.error?.message ?? "", /differs from `\w+` only in case/);
    });
  }

  for (const [what, more] of [
    ["a list of fallback models", { models: ["dearer"] }],
    ["such a list with one entry", { fallbacks: [{ model: "dearer" }] }],
    ["a tool with a model of its own", { tools: [{ type: "image_generation", model: "dearer" }] }],
    [
      "such a tool among others",
      {
        tools: [
          { type: "function", function: { name: "f" } },
          { type: "advisor", name: "advisor", model: "dearer" },
        ],
      },
    ],
  ] as const) {
    it(`no other model is called through ${what}`, async () => {
      const before = upstream.requests.length;
      const answer = await raw(
        gateway.url,
        json(JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }], ...more })),
      );
      assert.deepEqual(
        [answer.statuses, answer.codes, upstream.requests.length],
        [[400], ["unsupported_parameter"], before],
      );
    });
  }

  it("no spelling hides a model, whatever was sent before", async () => {
    const open = (text: string): string =>
      request(`Content-Length: ${text.length}\r\n`, { line: "POST /open HTTP/1.1", body: text });
    const messages = '"messages":[{"role":"user","content":"Hi"}]';
    // This name is a prefix of the other's escaped form, and V8's JSON.parse confuses the two.
    await raw(gateway.url, open(`{${messages},"\\\\u006":0}`));
    const before = upstream.requests.length;
    const answer = await raw(gateway.url, open(`{${messages},"\\u006dodel":"dearer"}`));
    assert.deepEqual(answer.statuses, [200]);
    assert.ok(!String(upstream.requests[before]?.text).includes("dearer"), String(upstream.requests[before]?.text));
  });

  it("no caller input splits a header or a log line", async () => {
    for (const id of ["a b", "a%0d%0aX-Evil: 1", "é", "a".repeat(200), '","user":"root']) {
      const answer = await raw(gateway.url, request(`x-request-id: ${id}\r\nUser-Agent: "}{"x":1\r\n`));
      assert.match(answer.text, /x-request-id: [0-9a-f-]{36}\r\n/);
      assert.doesNotMatch(answer.text, /x-evil/i);
    }
    for (const line of gateway.logs) assert.notEqual(line["user"], "root");
  });

  it("a caller's own headers never reach a provider, whatever their names", async () => {
    const before = upstream.requests.length;
    const names = [
      "x-forwarded-for",
      "cookie",
      "x-api-key",
      "api-key",
      "proxy-authorization",
      "x-goog-api-key",
      "x-evil",
      "openai-organization",
      "forwarded",
      "via",
    ];
    const answer = await raw(
      gateway.url,
      request([...names.map((name) => `${name}: planted`), "Connection: authorization, x-evil", ""].join("\r\n")),
    );
    assert.deepEqual(answer.statuses, [200]);
    const seen = upstream.requests[before];
    assert.equal(seen?.headers.authorization, "Bearer sk-upstream");
    assert.ok(!JSON.stringify(seen?.headers).includes("planted"));
  });

  it("X-Forwarded-For is ignored without a trusted proxy", async () => {
    await raw(
      gateway.url,
      request(
        "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.2\r\nForwarded: for=10.0.0.1\r\nx-request-id: chain\r\n",
      ),
    );
    const line = gateway.logs.find((log) => log["request_id"] === "chain");
    assert.equal(line?.["address"], "127.0.0.1");
  });
});
