/** `sluice shadow report` from proxies and from their logs. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type ComparedCall,
  type Comparison,
  type ShadowReading,
  ShadowRows,
  type ShadowSpan,
} from "../../proxy/config/shadow-report.ts";
import { ShadowTally } from "../../proxy/shadow/tally.ts";
import type { Finished } from "../harness/command.ts";
import { sluiceWith } from "../harness/sluice.ts";

const called = (more: Partial<ComparedCall>): ComparedCall => ({
  provider: "llm/old",
  model: "gpt-4o",
  status: 200,
  ok: true,
  inputTokens: 100,
  outputTokens: 50,
  costNanoUsd: 1_000_000,
  durationMs: 1_000,
  ...more,
});

const comparison = (copy: Partial<ComparedCall>, similarity: number | null, policy = "llm/chat"): Comparison => ({
  ...{ policy, model: "gpt-4o", similarity, call: called({}) },
  copy: called({ provider: "llm/new", costNanoUsd: 500_000, durationMs: 2_000, ...copy }),
});

const comparisons = [
  ...Array.from({ length: 9 }, () => comparison({}, 0.92)),
  comparison({ status: 502, ok: false, outputTokens: 0, costNanoUsd: null }, null),
];

/** As a proxy logs them. */
const logLine = (comparison: Comparison): string => logLineAt("2026-12-01T10:00:00.000Z", comparison);

const logLineAt = (time: string, { policy, model, call, copy, similarity }: Comparison): string =>
  JSON.stringify({
    ...{ level: "info", time, operation: "shadow", route: policy, model },
    ...{ provider: copy.provider, upstream_model: copy.model, status: copy.status, duration_ms: copy.durationMs },
    ...{ input_tokens: copy.inputTokens, output_tokens: copy.outputTokens, cost_nano_usd: copy.costNanoUsd },
    compared_with: {
      ...{ provider: call.provider, upstream_model: call.model, status: 200, duration_ms: call.durationMs },
      ...{ input_tokens: call.inputTokens, output_tokens: call.outputTokens, cost_nano_usd: call.costNanoUsd },
    },
    ...{ similarity, msg: "shadow" },
  });

function readingOf(instance: string, all: readonly Comparison[]): ShadowReading {
  const rows = new ShadowRows();
  for (const comparison of all) rows.add(comparison);
  const dropped: ShadowReading["dropped"] = [{ policy: "llm/chat", reason: "full", calls: 2 }];
  return { instance, since: "2026-12-01T09:00:00.000Z", rows: rows.list(), dropped };
}

const servers: Server[] = [];
const serve = (reading: (span: ShadowSpan | null) => ShadowReading): Promise<string> =>
  listening((url, response) => {
    const [from, to] = ["from", "to"].map((name) => Date.parse(url.searchParams.get(name) ?? ""));
    const span = from === undefined || to === undefined || Number.isNaN(from + to) ? null : { fromMs: from, toMs: to };
    response.end(JSON.stringify(reading(span)));
  });

/** Of a version that knows no spans. */
const proxy = (reading: ShadowReading): Promise<string> =>
  listening((_url, response) => response.end(JSON.stringify(reading)));

async function listening(answer: (url: URL, response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "", "http://proxy");
    response.writeHead(url.pathname === "/shadow" ? 200 : 404, { "content-type": "application/json" });
    answer(url, response);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "sluice-shadow-"));
});
after(async () => {
  for (const server of servers) server.close();
  await rm(root, { recursive: true, force: true });
});

const report = (args: readonly string[], input = ""): Promise<Finished> =>
  sluiceWith({ input }, "shadow", "report", ...args);

describe("sluice shadow report", () => {
  it("compares status, tokens, cost, duration and words, from a log with other lines", async () => {
    const file = join(root, "proxy.log");
    const noise = ['{"level":"info","msg":"call"}', "not JSON", '{"msg":"shadow","route":7}'];
    await writeFile(file, [...noise, ...comparisons.map(logLine)].join("\n"));
    const { stdout, code } = await report([file]);
    assert.equal(code, 0);
    assert.equal(
      stdout,
      `llm/chat, gpt-4o: llm/old gpt-4o compared with llm/new gpt-4o
                 CALLS   COPIES   CHANGE
answered         10      9        -10.0 %
input tokens     1000    1000     +0.0 %
output tokens    500     450      -10.0 %
cost in USD      0.01    0.0045   -55.0 %
50 % within ms   1021    2021     +97.9 %
95 % within ms   1021    2021     +97.9 %
99 % within ms   1021    2021     +97.9 %
copies failed    502: 1
similarity       0.920 on average, at least 0.90 for nine in ten (9 answers)
without a price  1 of the copies, which cost nothing in these figures

since 2026-12-01T10:00:00.000Z
`,
    );
  });

  it("adds up proxies, each once, and says what was not copied", async () => {
    const [first, second] = [
      await proxy(readingOf("a", comparisons.slice(0, 4))),
      await proxy(readingOf("b", comparisons.slice(4))),
    ];
    const { stdout, stderr, code } = await report(["--url", first, "--url", second, "--url", first, "-o", "json"]);
    assert.equal(code, 0, stderr);
    const [row] = JSON.parse(stdout) as Record<string, unknown>[];
    assert.deepEqual(
      [row?.["pairs"], row?.["copy_ok"], row?.["copy_statuses"], row?.["similarity_mean"], row?.["copy_cost_usd"]],
      [10, 9, "200:9 502:1", "0.920", "0.0045"],
    );
    assert.match(stderr, /not copied, llm\/chat: 4 calls, full/);
    assert.match(stderr, /counted by 2 proxies since 2026-12-01T09:00/);
  });

  it("says which proxy it could not ask, and fails if it could ask none", async () => {
    const gone = "http://127.0.0.1:1";
    const some = await report(["--url", await proxy(readingOf("c", comparisons)), "--url", gone]);
    assert.match(some.stdout, /warning: comparisons are missing: .*127\.0\.0\.1:1/);
    const none = await report(["--url", gone]);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /127\.0\.0\.1:1/);
  });

  it("has CSV, and only the policies that are asked for", async () => {
    const all = [...comparisons, comparison({}, 1, "llm/other")];
    const { stdout } = await report(["-", "-o", "csv", "--policy", "llm/other"], all.map(logLine).join("\n"));
    const [head = "", line = "", ...more] = stdout.trimEnd().split("\r\n");
    assert.ok(head.startsWith("policy,model,target,shadow,pairs,call_ok,"));
    assert.ok(line.startsWith("llm/other,gpt-4o,llm/old gpt-4o,llm/new gpt-4o,1,1,"));
    assert.deepEqual(more, []);
  });

  it("counts a span of a log", async () => {
    const times = [
      "2026-11-30T23:30:00.000Z",
      "2026-11-30T23:59:59.999Z",
      "2026-12-01T00:00:00.000Z",
      "2026-12-01T23:00:00.000Z",
      "2026-12-02T00:00:00.000Z",
    ];
    const log = times.map((time) => logLineAt(time, comparison({}, 1))).join("\n");
    for (const [span, pairs] of [
      [["--from", "2026-12-01", "--to", "2026-12-02"], 2],
      [["--from", "2026-12-01", "--to", "2026-12-02", "--time-zone", "Europe/Berlin"], 3],
      [["--from", "2026-12-01T23:00:00Z", "--to", "2026-12-03"], 2],
      [["--to", "2026-12-01T00:00:00Z"], 2],
      [[], 5],
    ] as const) {
      const { stdout, stderr } = await report(["-", "-o", "json", ...span], log);
      assert.deepEqual(
        (JSON.parse(stdout) as { pairs: number }[]).map((row) => row.pairs),
        [pairs],
        `${span}: ${stderr}`,
      );
    }
  });

  it("counts a span of what proxies have, and says what of it is missing", async () => {
    let nowMs = Date.parse("2026-12-01T10:30:00Z");
    const tally = new ShadowTally(() => nowMs);
    for (let hour = 0; hour < 3; hour++, nowMs += 3_600_000) tally.compared(comparison({}, 1));
    const url = await serve((span) => tally.reading("a", span));
    const asked = async (...args: string[]): Promise<[unknown, string]> => {
      const { stdout } = await report(["--url", url, ...args]);
      return [/answered +(\d+)/.exec(stdout)?.[1], stdout];
    };
    const [hours] = await asked("--from", "2026-12-01T11:00:00Z", "--to", "2026-12-01T13:00:00Z");
    assert.equal(hours, "2");
    const [day, text] = await asked("--from", "2026-12-01", "--to", "2026-12-02");
    assert.equal(day, "3");
    assert.match(text, /from 2026-12-01T00:00:00.000Z to 2026-12-02T00:00:00.000Z, in whole hours/);
    assert.match(text, /warning: copies before 2026-12-01T10:30:00.000Z are missing: see the proxies' logs/);
    const [none, empty] = await asked("--from", "2026-12-02", "--to", "2026-12-03");
    assert.deepEqual([none, /no copies were compared/.test(empty)], [undefined, true]);
    const old = await report(["--url", await proxy(readingOf("b", comparisons)), "--period", "24h"]);
    assert.match(old.stdout, /warning: a proxy of an older version doesn't count by hours/);
  });

  for (const [args, says] of [
    [["--period", "a week"], /--period must be a time such as 24h or 7d/],
    [["--period", "7d", "--from", "2026-12-01"], /give --period or --from, not both/],
    [["proxy.log", "--from", "2026-12-02", "--to", "2026-12-01"], /--from must be before --to/],
    [["-o", "yaml"], /--output must be table, json or csv/],
    [["proxy.log", "--url", "http://127.0.0.1:9090"], /give FILEs, or say where the proxies are/],
  ] as const)
    it(`refuses ${args.join(" ")}`, async () => {
      const { code, stderr } = await report(args);
      assert.equal(code, 2);
      assert.match(stderr, says);
    });
});
