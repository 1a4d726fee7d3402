/** What web pages, and apps in a browser engine, may do and read. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { installation } from "../../operator/settings/installation.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_browsers_alice_00001";
const page = "https://chat.example.com";
const app = "capacitor://localhost";

describe("a page in a browser", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let folder: string;

  before(async () => {
    upstream = await startUpstream();
    folder = await mkdtemp(join(tmpdir(), "sluice-pages-"));
    const settings = join(folder, "settings.yaml");
    await writeFile(settings, `cors: { allowedOrigins: ["${page}:443", "${app}"] }`);
    gateway = await startGateway(
      [
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: "sk" }),
        policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        ...key("alice", alice),
      ],
      ["--settings", settings],
    );
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
    await rm(folder, { recursive: true, force: true });
  });

  const preflight = (origin: string, method: string, headers: string): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": method, "access-control-request-headers": headers },
    });

  for (const origin of [page, app])
    it(`may call from ${origin}`, async () => {
      const answer = await preflight(origin, "POST", "authorization,content-type");
      assert.deepEqual([answer.status, answer.headers.get("access-control-allow-origin")], [204, origin]);
    });

  it("may send headers of any name, and use DELETE", async () => {
    const asked = "authorization, x_trace.id, x-stainless-helper-method";
    const answer = await preflight(page, "DELETE", asked);
    assert.equal(answer.headers.get("access-control-allow-headers"), asked);
    assert.match(answer.headers.get("access-control-allow-methods") ?? "", /\bDELETE\b/);
    const odd = await preflight(page, "POST", 'authorization, "quoted"');
    assert.equal(odd.headers.get("access-control-allow-headers"), null);
  });

  it("may read every header that the documentation promises", async () => {
    const answer = await fetch(`${gateway.url}/v1/models`, { headers: { origin: page } });
    assert.equal(answer.status, 401);
    const exposed = (answer.headers.get("access-control-expose-headers") ?? "").split(", ");
    for (const name of [
      "x-request-id",
      "request-id",
      "x-provider-used",
      "x-sluice-cache",
      "x-sluice-dropped-params",
      "x-ratelimit-remaining-requests",
      "x-ratelimit-reset-tokens",
      "anthropic-ratelimit-tokens-remaining",
      "retry-after",
      "retry-after-ms",
      "openai-processing-ms",
      "x-should-retry",
      "sunset",
    ])
      assert.ok(exposed.includes(name), name);
  });

  /** Sends raw request text and returns the raw answer. */
  const raw = (text: string): Promise<string> =>
    new Promise((resolve) => {
      let answer = "";
      const socket = connect(Number(new URL(gateway.url).port), "127.0.0.1", () => socket.write(text));
      socket.on("data", (data) => (answer += data.toString()));
      socket.on("error", () => undefined);
      socket.on("close", () => resolve(answer));
    });

  for (const [what, request, status] of [
    ["a header too many", `x-api-key: a\r\nx-api-key: b\r\n`, 400],
    ["a hundred headers", Array.from({ length: 101 }, (_, at) => `x-${at}: 1\r\n`).join(""), 431],
    ["headers that are too large", `x-large: ${"a".repeat(20_000)}\r\n`, 431],
  ] as const)
    it(`may read the refusal for ${what}`, async () => {
      const answer = await raw(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\norigin: ${page}\r\nconnection: close\r\n${request}\r\n`,
      );
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(answer, /\r\naccess-control-allow-origin: (\*|https:\/\/chat\.example\.com)\r\n/i);
    });

  it("gets the call's id in the header that Anthropic's SDK reads, also for refusals", async () => {
    const ask = (headers: Record<string, string>) =>
      fetch(`${gateway.url}/v1/messages`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ model: "gpt-4o", max_tokens: 5, messages: [{ role: "user", content: "Hi" }] }),
      });
    for (const [headers, status] of [
      [{ "x-api-key": alice }, 200],
      [{}, 401],
    ] as const) {
      const answer = await ask(headers);
      assert.equal(answer.status, status);
      assert.ok(answer.headers.get("request-id"));
      assert.equal(answer.headers.get("request-id"), answer.headers.get("x-request-id"));
    }
  });
});

describe("an allowed origin", () => {
  for (const [given, kept] of [
    ["https://chat.example.com:443", "https://chat.example.com"],
    ["http://localhost:80", "http://localhost"],
    ["http://localhost:443", "http://localhost:443"],
    ["chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"],
    ["tauri://localhost", "tauri://localhost"],
    ["*", null],
    ["null", null],
    ["https://chat.example.com/", null],
    ["https://Chat.example.com", null],
  ] as const)
    it(`${given} is ${kept === null ? "refused" : `kept as ${kept}`}`, () => {
      const parsed = installation.safeParse({ cors: { allowedOrigins: [given] } });
      assert.deepEqual(parsed.success ? parsed.data.cors.allowedOrigins : null, kept === null ? null : [kept]);
    });
});
