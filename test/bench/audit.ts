/** What the audit chain costs: making 1,000,000 records, and verifying them. Part of `make bench`. */

import { Chain } from "../../proxy/audit/chain.ts";
import { auditMembers } from "../../proxy/audit/record.ts";
import { Verifier } from "../../proxy/audit/verify.ts";
import type { CallRecord } from "../../proxy/call/record.ts";
import { spread } from "./statistics.ts";

const records = 1_000_000;
const rounds = 5;
const call = {
  ...{
    requestId: "5b0e2b4e-7f0a-4e58-9d7e-2f1a4f8f2f6c",
    startedMs: 0,
    durationMs: 5,
    address: "10.0.0.1",
    method: "POST",
    operation: "openai.chat",
  },
  ...{
    route: "team-a/chat",
    model: "gpt-4o",
    target: "openai",
    provider: "platform/openai",
    upstreamModel: "gpt-4o",
    key: "team-a/alice",
  },
  ...{
    user: "alice@example.com",
    team: "red",
    role: "developer",
    status: 200,
    code: null,
    cause: null,
    stream: false,
    broken: false,
    abandoned: false,
  },
  ...{
    firstByteMs: 1,
    costNanoUsd: 97_500,
    cache: null,
    semantic: null,
    savedNanoUsd: null,
    masked: { Email: 1 },
    region: "eu",
    attempts: [],
    dropped: [],
    country: "DE",
  },
  ...{ statistics: true, payloads: null, audited: null },
  usage: { prompt: 11, cachedPrompt: 0, completion: 7, reasoning: 0, total: 18, estimated: false },
} as unknown as CallRecord;

const lines: string[] = [];
const making: number[] = [];
const checking: number[] = [];
for (let round = 0; round < rounds; round++) {
  const chain = new Chain(`c${round}`, Buffer.from("key"));
  lines.length = 0;
  let began = performance.now();
  for (let at = 0; at < records / rounds; at++) lines.push(chain.add(auditMembers("call", call, at)));
  making.push(((performance.now() - began) * 1000) / lines.length);
  const verifier = new Verifier(Buffer.from("key"));
  began = performance.now();
  for (const line of lines) verifier.add(line.trimEnd(), "f");
  if (verifier.end().troubles.length > 0) throw new Error("the chain is not sound");
  checking.push(((performance.now() - began) * 1000) / lines.length);
}
const show = (what: string, values: readonly number[]): void => {
  const { min, median, max } = spread(values);
  process.stdout.write(
    `${what}: min ${min.toFixed(2)}, median ${median.toFixed(2)}, max ${max.toFixed(2)} us a record\n`,
  );
};
process.stdout.write(`${records} audit records in ${rounds} chains with a key\n`);
show("made", making);
show("verified", checking);
