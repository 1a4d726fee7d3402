/** The audit log of a gateway: one right record for each decision, wherever it goes, and whatever happens to it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, chmod, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { AuditLog } from "../../../proxy/audit/audit.ts";
import { Chain } from "../../../proxy/audit/chain.ts";
import { FileSink } from "../../../proxy/audit/file.ts";
import { auditStream } from "../../../proxy/audit/redis.ts";
import type { AuditSink } from "../../../proxy/audit/sink.ts";
import { Verifier } from "../../../proxy/audit/verify.ts";
import { connectRedis } from "../../../proxy/fleet/redis-client.ts";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../../harness/gateway.ts";
import { startRedis } from "../../harness/redis.ts";
import { sluice } from "../../harness/sluice.ts";
import { chatFrames, openai, pausedStream, startUpstream, type UpstreamRequest } from "../../harness/upstream.ts";
import { aCall, timers } from "./kit.ts";

type Json = Record<string, unknown>;
const upstream = await startUpstream();
after(() => upstream.close());
const alice = "slc_audit_alice_00001";
const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));
async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "sluice-audit-"));
  folders.push(made);
  return made;
}

const price = { inputPerMillion: "2.5", outputPerMillion: "10" };
const targets = [{ provider: { name: "up" } }];
const manifests = (more: Manifest[] = []): Manifest[] => [
  provider("up", upstream.url, {
    region: "eu",
    models: ["open", "guarded", "limited", "bodies", "required", "kept"].map((name) => ({ name, price })),
  }),
  secret("up-credentials", { apiKey: "sk-upstream" }),
  policy("open", { match: { models: ["open"] }, routing: { targets }, guard: { mask: {} } }),
  policy("guarded", {
    match: { models: ["guarded"] },
    routing: { targets },
    guard: { deny: ["bomb"] },
    access: { roles: ["admin"] },
  }),
  policy("limited", {
    match: { models: ["limited"] },
    routing: { targets },
    limits: [{ per: "User", requests: 1, window: "1h" }],
  }),
  policy("bodies", { match: { models: ["bodies"] }, routing: { targets }, audit: { bodies: true } }),
  policy("kept", {
    match: { models: ["kept"] },
    routing: { targets },
    audit: { bodies: true },
    cache: { ttl: "1h" },
    guard: { mask: { mode: "Placeholder" } },
    limits: [{ per: "User", requests: 4, window: "1h" }],
  }),
  policy("required", { match: { models: ["required"] }, routing: { targets }, audit: { required: true } }),
  ...key("alice", alice, { team: "red" }),
  ...more,
];

async function gateway(flags: string[], env: Record<string, string> = {}): Promise<TestGateway> {
  const started = await startGateway(manifests(), flags, env);
  return started;
}

const call = async (url: string, model: string, content = "Hi", clear = alice, more: Json = {}): Promise<number> => {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content }], ...more }),
  });
  await answer.text();
  return answer.status;
};

async function records(path: string): Promise<Json[]> {
  const names = (await readdir(path)).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(path, name), "utf8")));
  return texts
    .join("")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as Json);
}
const calls = async (path: string): Promise<Json[]> => (await records(path)).filter((one) => one["type"] === "call");

describe("the audit log", () => {
  it("has one record of each decision and call, and none of what nobody should read", async () => {
    const path = await folder();
    const { url, close } = await gateway([`--audit-dir=${path}`]);
    assert.equal(await call(url, "open", "I am carol@example.com"), 200);
    assert.equal(await call(url, "open", "Hi", alice, { stream: true }), 200);
    assert.equal(await call(url, "open", "Hi", "slc_wrong"), 401);
    assert.equal(await call(url, "guarded"), 403);
    assert.equal(await call(url, "limited"), 200);
    assert.equal(await call(url, "limited"), 429);
    assert.equal(await call(url, "bodies", "bob@example.com pays"), 200);
    assert.equal(await call(url, "none"), 404);
    await close();
    const user = "alice@example.com";
    const all = await calls(path);
    assert.deepEqual(
      all.map((one) => [one["decision"], one["status"], one["code"] ?? null, one["route"], one["user"]]),
      [
        ["allow", 200, null, "default/open", user],
        ["allow", 200, null, "default/open", user],
        ["deny", 401, "invalid_api_key", "", ""],
        ["deny", 403, "access_denied", "default/guarded", user],
        ["allow", 200, null, "default/limited", user],
        ["deny", 429, "rate_limit_exceeded", "default/limited", user],
        ["allow", 200, null, "default/bodies", user],
        ["deny", 404, "model_not_found", "", user],
      ],
    );
    const [first] = all;
    assert.deepEqual(
      [
        first?.["provider"],
        first?.["region"],
        first?.["model"],
        first?.["team"],
        first?.["role"],
        first?.["masked"],
        first?.["cost_nano_usd"],
        first?.["key"],
      ],
      ["default/up", "eu", "open", "red", "developer", { Email: 1 }, 11 * 2500 + 7 * 10_000, "default/alice"],
    );
    assert.match(String(first?.["address"]), /127\.0\.0\.1/);
    assert.equal(first?.["request_body"], undefined);
    assert.match(String(all[6]?.["request_body"]), /\[EMAIL\] pays/);
    assert.match(String(all[6]?.["response_body"]), /Hello there/);
    const text = JSON.stringify(await records(path));
    for (const hidden of [alice, "slc_wrong", "sk-upstream", "carol@example.com", "bob@example.com"])
      assert.ok(!text.includes(hidden), hidden);
    const verified = await sluice("audit", "verify", path);
    assert.equal(verified.code, 0, verified.stdout);
    assert.match(verified.stdout, /^10 records in 1 chain: nothing was changed\n$/);
  });

  it("has with bodies what was said, whole, in a stream, from the cache or cut short, and what was asked in vain", async () => {
    const path = await folder();
    const { url, close } = await gateway([`--audit-dir=${path}`]);
    // In pieces, so that nothing is found in any of them.
    const said = "mail dave@example.com, card 4111 1111 1111 1111";
    const streamed =
      (end: boolean) =>
      (_request: UpstreamRequest, response: ServerResponse): void => {
        const frames = chatFrames("kept", said.match(/.{1,6}/g) ?? [], true);
        response.writeHead(200, { "content-type": "text/event-stream" });
        for (const frame of end ? frames : frames.slice(0, -4)) response.write(frame);
        response.end();
      };
    const ask = "I am carol@example.com";
    assert.equal(await call(url, "kept", ask), 200);
    assert.equal(await call(url, "kept", ask), 200);
    upstream.answer(streamed(true));
    assert.equal(await call(url, "kept", ask, alice, { stream: true }), 200);
    assert.equal(await call(url, "kept", ask, alice, { stream: true }), 200);
    upstream.answer(streamed(false));
    assert.equal(await call(url, "kept", `Again, ${ask}`, alice, { stream: true }), 200);
    upstream.answer(
      (_request, response) =>
        void response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"no"}}'),
    );
    assert.equal(await call(url, "kept", `No, ${ask}`), 400);
    upstream.answer(openai);
    assert.equal(await call(url, "kept", `At last, ${ask}`), 429);
    await close();
    const bodies = (await calls(path)).map((one) => [one["cache"], one["status"], String(one["response_body"])]);
    const all = '{"0/content":"mail [EMAIL], card [CREDIT_CARD]"}';
    assert.deepEqual(
      bodies.slice(2),
      [
        ["miss", 200, all],
        ["hit", 200, all],
        ["miss", 200, '{"0/content":"mail [EMAIL], "}'],
        ["miss", 400, ""],
        ["miss", 429, ""],
      ],
      "half a card's number is no card, and is left out",
    );
    assert.deepEqual(
      bodies.slice(0, 2).map(([cache, , body]) => [cache, /Hello there/.test(String(body))]),
      [
        ["miss", true],
        ["hit", true],
      ],
    );
    for (const { request_body: body } of await calls(path)) assert.match(String(body), /I am \[EMAIL_1\]/);
  });

  it("goes on after a kill in the middle of writing, and the next chain knows the one before", async () => {
    const path = await folder();
    const config = await folder();
    await writeFile(join(config, "all.yaml"), JSON.stringify({}));
    const writer = `
      import { AuditLog } from ${JSON.stringify(join(import.meta.dirname, "../../../proxy/audit/audit.ts"))};
      import { Chain } from ${JSON.stringify(join(import.meta.dirname, "../../../proxy/audit/chain.ts"))};
      import { FileSink } from ${JSON.stringify(join(import.meta.dirname, "../../../proxy/audit/file.ts"))};
      import { randomUUID } from "node:crypto";
      const id = randomUUID();
      const nowMs = Date.now;
      const after = (ms, then) => { const t = setTimeout(then, ms); return () => clearTimeout(t); };
      const log = await AuditLog.open(new Chain(id, null), [new FileSink(id, { folder: ${JSON.stringify(path)}, maxBytes: 20000, retentionDays: 0, nowMs })], { nowMs, after, trouble: console.error });
      const call = ${JSON.stringify(aCall())};
      for (;;) { for (let at = 0; at < 5; at++) log.write("call", call); await log.durable(20_000); }`;
    for (let life = 0; life < 3; life++) {
      const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", writer], { stdio: "inherit" });
      const gone = once(child, "exit");
      try {
        const had = (await readdir(path)).length;
        await eventually(async () => (await readdir(path)).length > had + 3, 60_000);
      } finally {
        child.kill("SIGKILL");
        await gone;
      }
    }
    // And once in the middle of a line.
    const last = (await readdir(path)).sort().at(-1) ?? "";
    await appendFile(join(path, last), '{"v":1,"chain":"');
    const verified = await sluice("audit", "verify", path);
    assert.equal(verified.code, 0, verified.stdout);
    assert.match(verified.stdout, /3 chains: nothing was changed/);
    assert.match(verified.stdout, /cut off: the process ended while writing it/);
    const opened = (await records(path)).filter((one) => one["type"] === "opened");
    assert.deepEqual(
      opened.map((one) => (one["follows"] as unknown[]).length === 1),
      [false, true, true],
    );
    // What was there, and is not any more.
    const [first = "", second = ""] = (await readdir(path)).sort();
    await rm(join(path, second));
    const broken = await sluice("audit", "verify", path);
    assert.equal(broken.code, 1);
    assert.match(broken.stdout, /records? after \d+ missing|its end is missing/);
    const lines = (await readFile(join(path, first), "utf8")).split("\n");
    lines[3] = (lines[3] ?? "").replace('"status":200', '"status":403');
    await writeFile(join(path, first), lines.join("\n"));
    assert.match(
      (await sluice("audit", "verify", join(path, first))).stdout,
      new RegExp(`WRONG {2}${first}:4: record 3 of chain \\S+ was changed`),
    );
  });

  it("keeps a key's chain, which only who has the key can verify", async () => {
    const path = await folder();
    const { url, close } = await gateway([`--audit-dir=${path}`], { SLUICE_AUDIT_KEY: "k1" });
    await call(url, "open");
    await close();
    const keyFile = join(await folder(), "key");
    await writeFile(keyFile, "k1\n");
    assert.equal((await sluice("audit", "verify", path, "--key-file", keyFile)).code, 0);
    await writeFile(keyFile, "k2");
    assert.equal((await sluice("audit", "verify", path, "--key-file", keyFile)).code, 1);
    assert.equal((await sluice("audit", "verify", path)).code, 1);
    assert.equal((await sluice("audit", "verify")).code, 2);
    assert.equal((await sluice("audit", "check")).code, 2);
  });

  it("goes into a stream of Redis too, and to a collector of OpenTelemetry", async (context) => {
    const redis = await startRedis();
    after(() => redis.stop());
    const bodies: Json[] = [];
    let failures = 1;
    const collector = createServer((request, response) => {
      let text = "";
      request.on("data", (data: Buffer) => (text += data.toString("utf8")));
      request.on("end", () => {
        if (failures-- > 0) return void response.writeHead(503).end();
        bodies.push({
          ...(JSON.parse(text) as Json),
          key: request.headers["x-key"],
          other: request.headers["x-other"],
        });
        response.end("{}");
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
    after(() => collector.close());
    const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/logs`;
    const started = await gateway(["--audit-redis=true", `--state-url=${redis.url}`, `--audit-otlp-url=${url}`], {
      SLUICE_AUDIT_OTLP_HEADERS: "X-Key=YWJjZA==, X-Other=b",
    });
    for (let at = 0; at < 20; at++) await call(started.url, "open");
    await started.close();
    const verified = await sluice("audit", "verify", "--redis", redis.url);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /^22 records in 1 chain/);
    const lines = bodies.flatMap((body) => {
      const [resource] = body["resourceLogs"] as {
        scopeLogs: { logRecords: { body: { stringValue: string }; timeUnixNano: string }[] }[];
      }[];
      return resource?.scopeLogs[0]?.logRecords ?? [];
    });
    assert.equal(lines.length, 22);
    assert.deepEqual([bodies[0]?.["key"], bodies[0]?.["other"]], ["YWJjZA==", "b"]);
    assert.match(lines[1]?.timeUnixNano ?? "", /^\d{19}$/);
    const path = join(await folder(), "collected.jsonl");
    await writeFile(path, `${lines.map(({ body }) => body.stringValue).join("\n")}\n`);
    assert.equal((await sluice("audit", "verify", path)).code, 0);
    const report = await sluice("compliance-report", "--redis", redis.url, "-o", "json");
    const months = JSON.parse(report.stdout) as Json[];
    assert.equal(months.at(-1)?.["requests"], 20);
    context.diagnostic(verified.stdout.trim());
  });
});

describe("a stream that its caller does not take to the end", () => {
  const chat = (signal: AbortSignal | null = null): RequestInit => ({
    method: "POST",
    headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "bodies", stream: true, messages: [{ role: "user", content: "Hi" }] }),
    ...(signal === null ? {} : { signal }),
  });

  it("is on record with what it got, and that it hung up", async () => {
    const path = await folder();
    const started = await gateway([`--audit-dir=${path}`]);
    const { answer: half, begun } = pausedStream("bodies");
    upstream.answer(half);
    const hangUp = new AbortController();
    const answer = await fetch(`${started.url}/v1/chat/completions`, chat(hangUp.signal));
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    let got = 0;
    while (got < begun.length) got += (await reader.read()).value?.length ?? 0;
    hangUp.abort();
    const told = await eventually(async () => (await calls(path)).at(-1));
    assert.deepEqual(
      [told["status"], told["code"], told["outcome"], told["sent_bytes"], told["provider"], told["decision"]],
      [499, "client_closed_request", "client_closed", got, "default/up", "allow"],
    );
    assert.match(String(told["response_body"]), /0\/content/);
    upstream.answer(openai);
    await started.close();
  });

  it("differs from one that stopped reading, which is cut off", async () => {
    const path = await folder();
    const started = await gateway([`--audit-dir=${path}`, "--stalled-client-ms=200"]);
    const frame = chatFrames("bodies", ["x".repeat(60_000)], false)[1] ?? "";
    upstream.answer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const fill = (): void => {
        while (!response.destroyed && response.write(frame));
      };
      response.on("drain", fill);
      fill();
    });
    const answer = await fetch(`${started.url}/v1/chat/completions`, chat());
    const told = await eventually(async () => (await calls(path)).at(-1));
    assert.deepEqual([told["status"], told["code"], told["outcome"]], [499, "client_closed_request", "client_stalled"]);
    assert.ok(Number(told["sent_bytes"]) > frame.length);
    await answer.text().catch(() => undefined);
    upstream.answer(openai);
    await started.close();
  });
});

describe("calls that must be on record", () => {
  it("are made when they are, and refused when they can't be; others go on", async () => {
    const path = await folder();
    const started = await gateway([`--audit-dir=${path}`]);
    const written = async () =>
      (await records(path))
        .filter((one) => one["route"] === "default/required")
        .map((one) => [one["type"], one["status"]]);
    assert.equal(await call(started.url, "required"), 200);
    assert.deepEqual(
      await written(),
      [
        ["begun", 200],
        ["call", 200],
      ],
      "both are on disk once the answer is there",
    );
    upstream.answer(
      (_request, response) =>
        void response.writeHead(400, { "content-type": "application/json" }).end('{"error":{"message":"no"}}'),
    );
    assert.equal(await call(started.url, "required"), 400);
    assert.deepEqual((await written()).at(-1), ["call", 400], "also where the provider refused it");
    upstream.answer(openai);
    assert.equal(await call(started.url, "required", "Hi", alice, { stream: true }), 200);
    assert.deepEqual(
      (await written()).slice(-2),
      [
        ["begun", 200],
        ["call", 200],
      ],
      "and of a stream, once its end is there",
    );
    await started.close();

    const none = await gateway([]);
    upstream.requests.length = 0;
    assert.equal(await call(none.url, "required"), 503);
    assert.equal(upstream.requests.length, 0, "no provider was asked");
    assert.equal(await call(none.url, "open"), 200);
    await none.close();

    const only = await gateway(["--audit-stdout=true"]);
    assert.equal(await call(only.url, "required"), 503, "stdout keeps nothing");
    await only.close();
  });

  it("are answered by nothing that can't be put on record, though the provider was asked", async () => {
    const redis = await startRedis();
    after(() => redis.stop());
    const started = await gateway(["--audit-redis=true", `--state-url=${redis.url}`]);
    upstream.requests.length = 0;
    upstream.answer(async (request, response) => {
      await redis.kill();
      await openai(request, response);
    });
    const answer = await fetch(`${started.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "required", messages: [{ role: "user", content: "Hi" }] }),
    });
    const text = await answer.text();
    upstream.answer(openai);
    assert.equal(answer.status, 503);
    assert.match(text, /audit_unavailable/);
    assert.ok(!text.includes("Hello there"));
    assert.equal(upstream.requests.length, 1);
    await redis.startAgain();
    await eventually(async () => (await call(started.url, "required")) === 200, 20_000);
    await started.close();
    const client = connectRedis(redis.url, null, null);
    after(() => client.disconnect());
    await eventually(() => Promise.resolve(client.status === "ready"));
    const lines = (await client.xrange(auditStream, "-", "+")).map(([, fields]) => JSON.parse(fields[1] ?? "") as Json);
    const id = answer.headers.get("x-request-id");
    assert.deepEqual(
      lines.filter((line) => line["request_id"] === id).map((one) => [one["type"], one["status"], one["provider"]]),
      [
        ["call", 200, "default/up"],
        ["withheld", 200, "default/up"],
      ],
    );
  });

  it("have no end, as streams, that can't be put on record", async () => {
    const redis = await startRedis();
    after(() => redis.stop());
    const kept = policy("kept-on-record", {
      match: { pathPrefix: "/kept", models: ["required"] },
      routing: { targets },
      audit: { required: true },
      cache: { ttl: "1h" },
    });
    const started = await startGateway(manifests([kept]), ["--audit-redis=true", `--state-url=${redis.url}`]);
    const ask = (prefix: string): Promise<Response> =>
      fetch(`${started.url}${prefix}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "required", stream: true, messages: [{ role: "user", content: "Hi" }] }),
      });
    const whole = await (await ask("/kept")).text();
    assert.match(whole, /there.*\[DONE\]/s);
    const again = await ask("/kept");
    assert.equal(again.headers.get("x-sluice-cache"), "hit");
    assert.equal(await again.text(), whole);
    const paused = pausedStream("required");
    upstream.answer(paused.answer);
    const answer = await ask("");
    const reader = (answer.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("Hello")) text += (await reader.read()).value ?? "";
    const sent = Buffer.byteLength(text);
    await redis.kill();
    paused.finish();
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    upstream.answer(openai);
    assert.match(text, /audit_unavailable/);
    assert.doesNotMatch(text, /\[DONE\]| there/);
    await redis.startAgain();
    await eventually(async () => (await call(started.url, "required")) === 200, 20_000);
    await started.close();
    const client = connectRedis(redis.url, null, null);
    after(() => client.disconnect());
    await eventually(() => Promise.resolve(client.status === "ready"));
    const lines = (await client.xrange(auditStream, "-", "+")).map(([, fields]) => JSON.parse(fields[1] ?? "") as Json);
    const records = lines.filter((line) => line["request_id"] === answer.headers.get("x-request-id"));
    assert.deepEqual(records.map((one) => [one["type"], one["status"], one["sent_bytes"]]).slice(-2), [
      ["call", 200, undefined],
      ["withheld", 200, sent],
    ]);
  });

  it("hold up nobody who hung up, and no failure of the provider", async () => {
    const path = await folder();
    const started = await gateway([`--audit-dir=${path}`]);
    const { begun } = pausedStream("required");
    upstream.answer(
      (_request, response) => void response.writeHead(200, { "content-type": "text/event-stream" }).end(begun),
    );
    assert.equal(await call(started.url, "required", "Hi", alice, { stream: true }), 200);
    const told = (await calls(path)).at(-1);
    assert.deepEqual([told?.["code"], told?.["outcome"]], ["upstream_stream_truncated", "stream_error"]);
    assert.ok(Number(told?.["sent_bytes"]) > 100);
    upstream.answer(openai);
    await started.close();
  });

  it("wait for no store that is gone", async () => {
    const redis = await startRedis();
    const started = await gateway(["--audit-redis=true", `--state-url=${redis.url}`]);
    assert.equal(await call(started.url, "required"), 200);
    await redis.stop();
    assert.equal(await call(started.url, "required"), 503);
    assert.equal(await call(started.url, "open"), 200);
    await started.close();
  });
});

describe("an audit log by itself", () => {
  it("turns to a new file when one is full, and deletes old ones, which the chain tells", async () => {
    const path = await folder();
    const now = { ms: Date.parse("2020-03-01T00:00:00Z") };
    const nowMs = () => now.ms;
    const open = (chain: string) =>
      AuditLog.open(
        new Chain(chain, null),
        [new FileSink(chain, { folder: path, maxBytes: 2_000, retentionDays: 30, nowMs })],
        { ...timers(), nowMs },
      );
    const log = await open("00000000-0000-4000-8000-000000000001");
    for (let at = 0; at < 40; at++) {
      log.write("call", aCall());
      await log.durable(20_000);
      now.ms += 43_200_000;
    }
    await log.close();
    const names = (await readdir(path)).sort();
    assert.ok(names.length > 15, names.join());
    assert.equal((await sluice("audit", "verify", path)).code, 0);
    // A file's date alone makes it no older, and no younger record makes it younger than it is.
    now.ms += 15 * 86_400_000;
    const old = new Date(now.ms - 31 * 86_400_000);
    const young = names.length - 2;
    for (const [index, name] of names.entries())
      await utimes(join(path, name), index === young ? new Date() : old, index === young ? new Date() : old);
    const next = await open("00000000-0000-4000-8000-000000000002");
    await next.close();
    const left = (await readdir(path)).sort();
    const gone = names.filter((name) => !left.includes(name));
    assert.deepEqual(gone, names.slice(0, gone.length));
    assert.ok(gone.length >= 4 && gone.length <= 7, `${gone.length} of ${names.length}`);
    const verified = await sluice("audit", "verify", path);
    assert.equal(verified.code, 0, verified.stdout);
    assert.match(verified.stdout, /kept as long as retention requires/);
  });

  it("holds up nobody while a sink is stuck or fails, and loses nothing that fits", async () => {
    const written: string[] = [];
    let stuck = true;
    const sink: AuditSink = {
      name: "odd",
      durable: true,
      write: (lines) => (stuck ? Promise.reject(new Error("full")) : Promise.resolve(void written.push(lines))),
      close: () => Promise.resolve(),
    };
    const parts = timers();
    const log = await AuditLog.open(new Chain("c", null), [sink], parts);
    for (let at = 0; at < 1_000; at++) log.write("call", aCall());
    assert.equal(await log.durable(50), false);
    assert.ok(parts.troubles.length > 0);
    stuck = false;
    await eventually(() => Promise.resolve(written.join("").split("\n").length >= 1_001));
    assert.equal(await log.durable(20_000), true);
    await log.close();
  });

  it("counts what a sink can't take, and says so in the chain", async () => {
    let stuck = true;
    const written: string[] = [];
    const sink: AuditSink = {
      name: "odd",
      durable: true,
      write: (lines) => (stuck ? Promise.reject(new Error("full")) : Promise.resolve(void written.push(lines))),
      close: () => Promise.resolve(),
    };
    const log = await AuditLog.open(new Chain("c", null), [sink], timers());
    const large = { ...aCall(), user: "x".repeat(1_000) };
    for (let at = 0; at < 20_000; at++) log.write("call", large);
    assert.ok((log.figures.dropped.get("odd") ?? 0) > 0);
    stuck = false;
    await eventually(() => Promise.resolve(written.length > 0));
    await log.durable(20_000);
    log.write("call", aCall());
    log.write("call", aCall());
    await log.close();
    const lines = written.join("").trimEnd().split("\n");
    assert.match(lines.join("\n"), /"type":"dropped","time":"[^"]+","in":"odd","from":\d+,"to":20000,"count":\d+/);
    const verified = (sink: string, of: readonly string[]) => {
      const verifier = new Verifier(null, sink);
      for (const [index, line] of of.entries()) verifier.add(line, String(index));
      return verifier.end();
    };
    assert.deepEqual(verified("odd", lines).troubles, []);
    assert.match(
      verified("odd", lines).notes[0]?.what ?? "",
      /records? after \d+ missing: the chain itself says that they were lost on the way/,
    );
    assert.equal(verified("other", lines).troubles.length, 1, "what one place lost excuses no other");
    assert.equal(verified("odd", lines.toSpliced(100, 1)).troubles.length, 1, "nor more than what was lost");
  });

  it("writes its files for nobody else to read", async () => {
    const path = await folder();
    await chmod(path, 0o700);
    const log = await AuditLog.open(
      new Chain("00000000-0000-4000-8000-000000000003", null),
      [
        new FileSink("00000000-0000-4000-8000-000000000003", {
          folder: path,
          maxBytes: 2_000,
          retentionDays: 0,
          nowMs: Date.now,
        }),
      ],
      timers(),
    );
    await log.close();
    const { statSync } = await import("node:fs");
    const [name = ""] = await readdir(path);
    assert.equal(statSync(join(path, name)).mode & 0o777, 0o600);
  });
});

describe("the compliance report", () => {
  it("counts by month what was asked, refused and masked, and where it went", async () => {
    const path = join(await folder(), "log.jsonl");
    const chain = new Chain("c", null);
    const record = (time: string, more: Json): string => {
      const { type = "call", decision = "allow", status = 200, ...rest } = more;
      const all = { type, time, decision, status, ...rest };
      return chain.add(JSON.stringify(all).slice(1, -1));
    };
    const lines = [
      record("2027-01-31T23:59:59.999Z", {
        user: "alice",
        key: "a/k",
        model: "m",
        provider: "a/p",
        region: "eu",
        masked: { Email: 2 },
        input_tokens: 5,
        output_tokens: 7,
        cost_nano_usd: 1_500_000_000,
      }),
      record("2027-02-01T00:00:00.000Z", {
        user: "alice",
        key: "a/k",
        model: "m",
        provider: "a/q",
        masked: { Email: 1, SSN: 1 },
      }),
      record("2027-02-02T00:00:00.000Z", { decision: "deny", status: 401, code: "invalid_api_key" }),
      record("2027-02-02T00:00:00.000Z", {
        decision: "deny",
        status: 403,
        code: "country_not_allowed",
        user: "bob",
        key: "a/l",
      }),
      record("2027-02-02T00:00:00.000Z", {
        decision: "deny",
        status: 403,
        code: "access_denied",
        user: "alice",
        key: "b/k",
      }),
      record("2027-02-02T00:00:00.000Z", { decision: "deny", status: 400, code: "prompt_denied" }),
      record("2027-02-02T00:00:00.000Z", { decision: "deny", status: 403, code: "consent_required" }),
      record("2027-02-02T00:00:00.000Z", { decision: "deny", status: 429, code: "budget_exceeded" }),
      record("2027-02-02T00:00:00.000Z", { type: "begun", request_id: "r1" }),
      record("2027-03-01T00:00:00.000Z", {}),
    ];
    await writeFile(path, lines.join(""));
    const { stdout } = await sluice("compliance-report", path, "--to", "2027-03-01T00:00:00Z", "-o", "json");
    const [january, february, total] = JSON.parse(stdout) as Json[];
    assert.deepEqual(
      [january?.["month"], january?.["requests"], january?.["masked"], january?.["costNanoUsd"]],
      ["2027-01", 1, { Email: 2 }, 1_500_000_000],
    );
    assert.deepEqual(
      [
        "requests",
        "allowed",
        "refused",
        "unauthorised",
        "forbidden",
        "geoBlocked",
        "withoutConsent",
        "promptsDenied",
        "limited",
      ].map((name) => february?.[name]),
      [7, 1, 6, 1, 1, 1, 1, 1, 1],
    );
    assert.deepEqual(total?.["users"], ["a/alice", "a/bob", "b/alice"]);
    assert.deepEqual(total?.["destinations"], { "a/p (eu)": 1, "a/q": 1 });
    const table = (await sluice("compliance-report", path)).stdout;
    assert.match(table, /^month +2027-01 +2027-02 +2027-03 +total\nrequests +1 +7 +1 +9\n/);
    assert.match(table, /pii_masked +2 +2 +0 +4/);
    const csv = (await sluice("compliance-report", path, "-o", "csv")).stdout.split("\n");
    assert.equal(csv.length, 6);
    assert.match(csv[4] ?? "", /^total,9,3,6,1,1,1,1,1,1,1,4,"Email 3, SSN 1",5,7,1\.50,3,m,"a\/p \(eu\) 1, a\/q 1"$/);
    for (const args of [
      ["compliance-report", "-o", "table"],
      ["compliance-report", path, "-o", "xml"],
      ["compliance-report", path, "--from", "yesterday"],
    ])
      assert.equal((await sluice(...args)).code, 2);
  });
});
