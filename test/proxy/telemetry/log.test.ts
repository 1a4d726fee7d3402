/** The access log, with pino itself as the oracle: lines put together by hand must be the lines it would write. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { pino } from "pino";
import { type CallRecord, newRecord, semanticResults } from "../../../proxy/call/record.ts";
import { failures } from "../../../proxy/failure.ts";
import { callFields, clean } from "../../../proxy/telemetry/call-fields.ts";
import { logCall } from "../../../proxy/telemetry/log.ts";
import fc, { runs } from "../../harness/property.ts";

const maybe = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: null, freq: 2 });
const text = fc.oneof(
  fc.constantFrom("", "a/chat", 'say "hi"\\', "tab\there\u2028", "naïve ☃ 🎉", "x".repeat(1500)),
  fc.string(),
  fc.string({ unit: "binary" }),
);
const name = fc.oneof(fc.constantFrom("", "a/chat", "gpt-4o"), text);
const usages = fc.record({
  prompt: fc.nat(),
  cachedPrompt: fc.nat(),
  cacheWrite: fc.nat(),
  completion: fc.nat(),
  reasoning: fc.nat(),
  estimated: fc.boolean(),
});

const calls: fc.Arbitrary<CallRecord> = fc
  .record({
    requestId: text,
    startedMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
    durationMs: fc.double({ min: 0, max: 100_000, noNaN: true }),
    address: fc.constantFrom("", "10.0.0.1", "2001:db8::1"),
    operation: fc.constantFrom("chat", "messages", "unknown"),
    route: name,
    model: name,
    provider: name,
    region: name,
    upstreamModel: name,
    key: name,
    user: name,
    team: name,
    status: fc.integer({ min: 200, max: 599 }),
    code: maybe(fc.constantFrom(...(Object.keys(failures) as (keyof typeof failures)[]))),
    cause: maybe(text),
    stream: fc.boolean(),
    broken: fc.boolean(),
    abandoned: fc.boolean(),
    stalled: fc.boolean(),
    sentBytes: fc.nat(),
    firstByteMs: maybe(fc.double({ min: 0, max: 20_000, noNaN: true })),
    usage: maybe(usages),
    masked: maybe(fc.dictionary(fc.constantFrom("Email", "Iban"), fc.nat(4))),
    cache: maybe(fc.constantFrom("hit" as const, "semantic" as const, "miss" as const)),
    semantic: maybe(
      fc.record({ result: fc.constantFrom(...semanticResults), similarity: maybe(fc.constantFrom(0.9321, 0.1234)) }),
    ),
    costNanoUsd: maybe(fc.nat()),
    attempts: fc.array(
      fc.record({
        provider: name,
        target: name,
        model: name,
        outcome: fc.constantFrom("ok", "Timeout"),
        durationMs: fc.nat(9),
      }),
      {
        maxLength: 3,
      },
    ),
    dropped: fc.array(text, { maxLength: 2 }),
    payloads: maybe(fc.record({ request: text, response: text })),
  })
  .map((some) => ({ ...newRecord("", "POST", 0), ...some }));

function outcomeOf({ abandoned, stalled, broken, code }: CallRecord): string | null {
  if (abandoned || code === "client_closed_request") return stalled ? "client_stalled" : "client_closed";
  return broken ? "stream_error" : null;
}

/** What a line says of a call, as one would give it to pino. */
function expectedFields(call: CallRecord): Record<string, unknown> {
  const { usage, semantic } = call;
  const outcome = outcomeOf(call);
  return {
    request_id: clean(call.requestId),
    address: call.address,
    operation: call.operation,
    route: call.route,
    model: call.model,
    provider: call.provider,
    ...(call.region === "" ? {} : { region: call.region }),
    upstream_model: call.upstreamModel,
    key: call.key,
    user: call.user,
    team: call.team,
    status: call.status,
    ...(call.code === null ? {} : { code: call.code }),
    ...(call.cause === null ? {} : { cause: clean(call.cause) }),
    stream: call.stream,
    ...(outcome === null ? {} : { outcome, sent_bytes: call.sentBytes }),
    duration_ms: Math.round(call.durationMs),
    ...(call.firstByteMs === null ? {} : { first_token_ms: Math.round(call.firstByteMs) }),
    ...(usage === null
      ? {}
      : {
          input_tokens: usage.prompt,
          cached_tokens: usage.cachedPrompt,
          output_tokens: usage.completion,
          estimated: usage.estimated,
        }),
    ...(call.masked === null ? {} : { masked: call.masked }),
    ...(call.cache === null ? {} : { cache: call.cache }),
    ...(call.cache === null || semantic === null ? {} : { semantic: semantic.result }),
    ...(call.cache === null || semantic === null || semantic.similarity === null
      ? {}
      : { similarity: semantic.similarity }),
    ...(call.costNanoUsd === null ? {} : { cost_nano_usd: call.costNanoUsd }),
    ...(call.attempts.length > 1 ? { attempts: call.attempts } : {}),
    ...(call.dropped.length > 0 ? { dropped_params: call.dropped } : {}),
    ...(call.payloads === null ? {} : { request_body: call.payloads.request, response_body: call.payloads.response }),
  };
}

function loggers() {
  const ours: string[] = [];
  const theirs: string[] = [];
  let atMs = 0;
  const options = (timestamp: () => string) => ({
    level: "info",
    base: { name: "sluice-proxy" },
    timestamp,
    formatters: { level: (label: string) => ({ level: label }) },
  });
  const ourLog = pino(options(pino.stdTimeFunctions.isoTime), { write: (line: string) => void ours.push(line) });
  const theirLog = pino(
    options(() => `,"time":"${new Date(atMs).toISOString()}"`),
    { write: (line: string) => void theirs.push(line) },
  );
  return {
    ours,
    theirs,
    log(call: CallRecord) {
      logCall(ourLog, call);
      atMs = call.startedMs + call.durationMs;
      theirLog.info(expectedFields(call), "call");
    },
  };
}

describe("the access log", () => {
  it("has the lines that pino would write of the same fields, however often names come again", () => {
    fc.assert(
      fc.property(fc.array(calls, { minLength: 1, maxLength: 8 }), (some) => {
        const both = loggers();
        for (const call of [...some, ...some]) both.log(call);
        assert.deepEqual(both.ours, both.theirs);
      }),
      { numRuns: runs(300) },
    );
  });

  it("follows names that change while the others stay", () => {
    const both = loggers();
    const call = {
      ...newRecord("id", "POST", 0),
      operation: "chat",
      route: "a/r",
      model: "m",
      provider: "a/p",
      key: "a/k",
      user: "u",
    };
    for (const more of [
      {},
      { region: "eu" },
      { upstreamModel: "m-2" },
      { region: "us", upstreamModel: "m-2" },
      { team: "one" },
      { team: 'two"' },
      {},
    ]) {
      both.log({ ...call, ...more });
    }
    assert.deepEqual(both.ours, both.theirs);
  });

  it("keeps no text of users without end", () => {
    const made = (at: number): CallRecord => ({
      ...newRecord("id", "POST", 0),
      key: "a/k",
      user: `${at}-${"u".repeat(20_000)}`,
    });
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    for (let at = 0; at < 100; at++) callFields(made(at));
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let at = 0; at < 2_000; at++) callFields(made(at));
    collect();
    const grownBy = process.memoryUsage().heapUsed - before;
    assert.ok(grownBy < 10_000_000, `of 40 MB of names ${grownBy} bytes are kept`);
    assert.match(callFields(made(1)), /"user":"1-u+"/);
  });

  it("is silent below its level", () => {
    const lines: string[] = [];
    logCall(pino({ level: "warn" }, { write: (line: string) => void lines.push(line) }), newRecord("id", "POST", 0));
    assert.deepEqual(lines, []);
  });

  it("writes every line once, whole and in order, to a reader that takes its time", { timeout: 60_000 }, async () => {
    const count = 20_000;
    const script = `
      const { createLogger, logCall } = await import(${JSON.stringify(join(import.meta.dirname, "../../../proxy/telemetry/log.ts"))});
      const { newRecord } = await import(${JSON.stringify(join(import.meta.dirname, "../../../proxy/call/record.ts"))});
      const log = createLogger("info", "test");
      for (let at = 0; at < ${count}; at++) {
        logCall(log, newRecord(String(at) + (at % 9_999 === 0 ? "é" : ""), "POST", at));
        if (at % 1_000 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
      }
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let at = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const { request_id: id } = JSON.parse(line) as { request_id: string };
      assert.equal(Number.parseInt(id, 10), at++);
      if (at % 5_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(at, count);
    if (child.exitCode === null) await once(child, "exit");
    assert.equal(child.exitCode, 0);
  });
});
