/** Why a provider could not be reached: visible to operators of the gateway, but not to callers. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { type AttemptCause, attemptCauses, causeInWords, causeOf, tokenCauseOf } from "../../proxy/wire/causes.ts";
import { type Authority, certificateAuthority } from "../harness/certificates.ts";
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
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_causes_alice_0001";

/** A raw TCP server. */
async function startServer(serve: (socket: Socket) => void): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

describe("the cause of a failed connection", () => {
  let ours: Authority;
  let other: Authority;
  let gateway: TestGateway;
  const closing: { close(): Promise<void> }[] = [];
  const urls: Record<string, string> = {};

  const manifests = (url: string, more: Record<string, unknown> = {}, rest: Manifest[] = []): Manifest[] => [
    provider("up", url, { circuitBreaker: { failureThreshold: 1000 }, ...more }),
    secret("up-credentials", { apiKey: "sk-causes-secret" }),
    policy("chat", {
      match: { models: ["gpt-4o"] },
      routing: {
        targets: [
          { provider: { name: "up" } },
          ...(rest.length > 0 ? [{ provider: { name: "spare" }, priority: 2 }] : []),
        ],
      },
    }),
    ...rest,
    ...key("alice", alice),
  ];
  const ask = async (
    more: Record<string, unknown> = {},
  ): Promise<{ status: number; text: string; line: Record<string, unknown> }> => {
    const response = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "hi" }], ...more }),
    });
    const text = await response.text();
    const id = response.headers.get("x-request-id");
    const line = await eventually(() => gateway.logs.find((log) => log["msg"] === "call" && log["request_id"] === id));
    return { status: response.status, text, line };
  };
  const upstream = async (pair: Parameters<typeof startUpstream>[1]): Promise<string> => {
    const made: Upstream = await startUpstream(openai, pair);
    closing.push(made);
    return made.url;
  };
  const server = async (scheme: string, serve: (socket: Socket) => void): Promise<string> => {
    const made = await startServer(serve);
    closing.push(made);
    return `${scheme}://127.0.0.1:${made.port}`;
  };

  before(async () => {
    [ours, other] = await Promise.all([certificateAuthority("Ours"), certificateAuthority("Other")]);
    const [good, expired] = await Promise.all([ours.issue("127.0.0.1"), ours.issueExpired("127.0.0.1")]);
    urls["well"] = await upstream(null);
    urls["secure"] = await upstream(good);
    urls["expired"] = await upstream(expired);
    urls["asking"] = await upstream({ ...good, clientCa: ours.cert });
    urls["mute"] = await server("https", () => undefined);
    urls["plain"] = await server("https", (socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
    );
    urls["mumbling"] = await server("http", (socket) =>
      socket.once("data", () => socket.end("220 mail.example ESMTP\r\n")),
    );
    urls["hangingUp"] = await server("http", (socket) => socket.once("data", () => socket.destroy()));
    urls["late"] = await server("http", () => undefined);
    const gone = await startServer(() => undefined);
    urls["gone"] = `http://127.0.0.1:${gone.port}`;
    await gone.close();
    gateway = await startGateway(manifests(urls["well"]));
  });
  after(async () => {
    await gateway.close();
    await Promise.all(closing.map((one) => one.close()));
  });

  const cases: [string, () => [string, Record<string, unknown>?], AttemptCause | RegExp, number?][] = [
    ["a certificate of an authority that is not public", () => [urls["secure"] ?? ""], "tls_unknown_authority"],
    [
      "a certificate of another authority than the stated one",
      () => [urls["secure"] ?? "", { tls: { caBundle: other.cert } }],
      "tls_unknown_authority",
    ],
    ["a certificate that has expired", () => [urls["expired"] ?? "", { tls: { caBundle: ours.cert } }], "tls_expired"],
    [
      "a certificate for another name",
      () => [urls["secure"] ?? "", { tls: { caBundle: ours.cert, serverName: "llm.internal" } }],
      "tls_wrong_name",
    ],
    [
      "a server that wants our certificate",
      () => [urls["asking"] ?? "", { tls: { caBundle: ours.cert } }],
      "tls_client_certificate_missing",
    ],
    ["a server without TLS", () => [urls["plain"] ?? ""], "tls_failed"],
    ["a name that DNS doesn't have", () => ["http://llm.invalid:8080"], /^dns_(unknown_name|failed)$/],
    ["a port where nobody listens", () => [urls["gone"] ?? ""], "connection_refused"],
    [
      "a server that says nothing to our greeting",
      () => [urls["mute"] ?? "", { timeouts: { connect: "1s" } }],
      "connect_timeout",
      504,
    ],
    ["a server that speaks something else", () => [urls["mumbling"] ?? ""], "not_http"],
    ["a server that hangs up", () => [urls["hangingUp"] ?? ""], "connection_broke"],
    [
      "a server that doesn't answer",
      () => [urls["late"] ?? "", { timeouts: { response: "1s" } }],
      "answer_timeout",
      504,
    ],
  ];
  for (const [name, target, cause, status = 502] of cases)
    it(`is in the log for ${name}, and not in the answer`, async () => {
      await gateway.apply(manifests(...target()));
      const answer = await ask();
      assert.equal(answer.status, status);
      if (cause instanceof RegExp) assert.match(String(answer.line["cause"]), cause);
      else assert.equal(answer.line["cause"], cause);
      assert.doesNotMatch(answer.text, /tls|certificate|dns|authority|refused|_timeout"?,.*cause/i);
      assert.ok(!gateway.logText().includes("sk-causes-secret"));
    });

  it("is in the log of an attempt before another provider answered, and in the attempts metric", async () => {
    const spare = [provider("spare", urls["well"] ?? ""), secret("spare-credentials", { apiKey: "sk" })];
    await gateway.apply(manifests(urls["secure"] ?? "", { tls: { caBundle: other.cert } }, spare));
    const { status, line } = await ask();
    assert.deepEqual([status, line["cause"]], [200, undefined]);
    const attempts = line["attempts"] as Record<string, unknown>[];
    assert.deepEqual(
      attempts.map((attempt) => [attempt["provider"], attempt["outcome"], attempt["cause"]]),
      [
        ["default/up", "Unavailable", "tls_unknown_authority"],
        ["default/spare", "ok", undefined],
      ],
    );
    const metrics = await gateway.metrics();
    assert.match(
      metrics,
      /ai_gateway_upstream_attempts_total\{provider="default\/up",model="gpt-4o",outcome="Unavailable",cause="tls_unknown_authority"\} \d/,
    );
    assert.match(
      metrics,
      /ai_gateway_upstream_attempts_total\{provider="default\/spare",model="gpt-4o",outcome="ok"\} 1/,
    );
  });

  it("is cleared once the provider answers, even with an error of its own", async () => {
    const own = await startUpstream((_request, response) => json(response, 500, { error: { message: "broken" } }));
    closing.push(own);
    await gateway.apply(manifests(own.url));
    const { status, line } = await ask();
    assert.deepEqual([status, line["cause"]], [502, undefined]);
  });

  const providerStatus = async (): Promise<Record<string, unknown>> => {
    const { providers } = (await gateway.status()) as { providers: Record<string, unknown>[] };
    return providers.find((provider) => provider["id"] === "default/up") ?? {};
  };

  it("is the reason that an open breaker reports, until the provider answers again", async () => {
    const circuitBreaker = { failureThreshold: 1, openFor: "3s", successThreshold: 1 };
    await gateway.apply(manifests(urls["secure"] ?? "", { tls: { caBundle: other.cert }, circuitBreaker }));
    await ask();
    const ill = await providerStatus();
    assert.equal(
      ill["reason"],
      "every model's breaker is open: its certificate is signed by an unknown authority (tls_unknown_authority)",
    );
    assert.deepEqual(ill["causes"], { "gpt-4o": "tls_unknown_authority" });
    await gateway.apply(manifests(urls["secure"] ?? "", { tls: { caBundle: ours.cert }, circuitBreaker }));
    await eventually(async () => (await ask()).status === 200);
    const well = await providerStatus();
    assert.deepEqual([well["healthy"], well["reason"], well["causes"]], [true, null, {}]);
  });

  it("reports a refused credential after three refusals, until a call is answered", async () => {
    const strict = await startUpstream((_request, response) => json(response, 401, { error: { message: "no" } }));
    closing.push(strict);
    // A separate provider, because the other provider's state remains.
    const spare = [provider("spare", strict.url), secret("spare-credentials", { apiKey: "sk" })];
    const chat = policy("chat", {
      match: { models: ["gpt-4o"] },
      routing: { targets: [{ provider: { name: "spare" } }] },
    });
    await gateway.apply([
      ...manifests(strict.url).filter(({ kind }) => kind === "ApiKey" || kind === "Secret"),
      ...spare,
      chat,
    ]);
    const refused: unknown[] = [];
    const look = async (): Promise<void> => {
      await ask();
      const { providers } = (await gateway.status()) as { providers: Record<string, unknown>[] };
      refused.push(providers.find((provider) => provider["id"] === "default/spare")?.["refused"]);
    };
    for (let at = 0; at < 3; at++) await look();
    strict.answer(openai);
    await look();
    assert.deepEqual(refused, [[], [], ["gpt-4o"], []]);
  });

  it("is the reason of a failed health check", async () => {
    const healthCheck = { path: "/models", interval: "1s", failureThreshold: 1 };
    await gateway.apply(manifests(urls["expired"] ?? "", { tls: { caBundle: ours.cert }, healthCheck }));
    await eventually(async () => (await providerStatus())["healthy"] === false);
    assert.equal((await providerStatus())["reason"], "its certificate has expired (tls_expired)");
  });
});

describe("causes by error", () => {
  const named = (code: string, more: Record<string, unknown> = {}): Error =>
    Object.assign(new Error("sk-secret"), { code, ...more });
  const cases: [Error, AttemptCause][] = [
    // OpenSSL 3.0 and 3.5 name the same alert differently.
    [named("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"), "tls_client_certificate_refused"],
    [named("ERR_SSL_TLSV1_ALERT_ACCESS_DENIED"), "tls_client_certificate_refused"],
    [named("ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED"), "tls_client_certificate_refused"],
    [named("ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE"), "tls_client_certificate_refused"],
    [named("ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN"), "tls_client_certificate_refused"],
    [named("ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE"), "tls_failed"],
    [named("CERT_NOT_YET_VALID"), "tls_not_yet_valid"],
    [named("DEPTH_ZERO_SELF_SIGNED_CERT"), "tls_unknown_authority"],
    [named("UNABLE_TO_GET_ISSUER_CERT_LOCALLY"), "tls_unknown_authority"],
    [named("CERT_REVOKED"), "tls_failed"],
    [named("ENOTFOUND"), "dns_unknown_name"],
    [named("EAI_AGAIN"), "dns_failed"],
    [named("ENETUNREACH"), "no_route"],
    [named("ETIMEDOUT", { syscall: "connect" }), "connect_timeout"],
    [named("ETIMEDOUT", { syscall: "read" }), "connection_broke"],
    [named("ESLUICEDESTINATION"), "address_not_allowed"],
    [
      named("ECONNRESET", {
        message: "Client network socket disconnected before secure TLS connection was established",
      }),
      "tls_failed",
    ],
    [named("ECONNRESET"), "connection_broke"],
    [named("toString"), "connection_broke"],
    [new Error("anything"), "connection_broke"],
  ];
  for (const [error, cause] of cases)
    it(`maps ${(error as { code?: string }).code ?? "an error without a code"} to ${cause}, and doesn't reveal its text`, () => {
      assert.equal(causeOf(error, false), cause);
      assert.equal(tokenCauseOf(error), `token_${cause}`);
      for (const words of [causeInWords(cause), causeInWords(tokenCauseOf(error))]) {
        assert.ok(!words.includes("sk-secret"));
        assert.ok(words.endsWith(`${cause})`));
        assert.doesNotMatch(words, /undefined|it failed/);
      }
    });

  it("are all documented", async () => {
    const docs = await readFile("docs/errors.md", "utf8");
    for (const cause of attemptCauses) assert.match(docs, new RegExp(`^\\| [^|]*\`${cause}\`[^|]*\\|`, "m"));
  });

  it("treats nothing as a connection failure once an answer has begun", () => {
    for (const [error] of cases) assert.ok(!/^(tls|dns|no_route|connection_refused)/.test(causeOf(error, true)));
  });
});
