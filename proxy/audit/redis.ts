/**
 * Audit records in a stream of Redis or Valkey, `sluice:{audit}`. Each entry has one field, `r`.
 *
 * `sluice:{audit}:ends` has the number of each chain's last record in the stream. When a batch is written again because
 * its confirmation was lost, records up to that number are skipped.
 */
import { once } from "node:events";
import { type Client, connectRedis, type StoreTls } from "../fleet/redis-client.ts";
import { readEnd } from "./chain.ts";
import { RetentionClaims, stillNeeded } from "./claims.ts";
import type { AuditSink, End, Expired } from "./sink.ts";

export const auditStream = "sluice:{audit}";
const auditEnds = `${auditStream}:ends`;
const dayMs = 86_400_000;
/** How long a start waits for the connection to learn what was written last, in milliseconds. */
const readyMs = 2_000;
/** Size of one command: the server does nothing else meanwhile, and must answer in time. */
const maxLines = 500;
const maxChars = 1_048_576;
/** Entries per read: a record with bodies can have 100 KiB. */
const page = 200;

/** KEYS: the stream, the ends. ARGV: the chain, then number and line alternately. */
const append = `
local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '-1')
for at = 2, #ARGV, 2 do
  local seq = tonumber(ARGV[at])
  if seq > last then
    redis.call('XADD', KEYS[1], '*', 'r', ARGV[at + 1])
    last = seq
  end
end
redis.call('HSET', KEYS[2], ARGV[1], last)
return last
`;

/** KEYS: the stream, the ends. ARGV: the first id to keep, then chain and last deleted number alternately. */
const trim = `
redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])
for at = 2, #ARGV, 2 do
  local last = tonumber(redis.call('HGET', KEYS[2], ARGV[at]) or '-1')
  if last <= tonumber(ARGV[at + 1]) then redis.call('HDEL', KEYS[2], ARGV[at]) end
end
return 1
`;

/** The beginning of a record as written: `{"v":1,"chain":"…","seq":7,…`. */
const numbered = /^\{"v":1,"chain":"[^"]*","seq":(\d+),/;

export class RedisSink implements AuditSink {
  readonly name = "redis";
  readonly durable = true;
  readonly #client: Client;
  readonly #chain: string;
  readonly keptMs: number | null;
  readonly #nowMs: () => number;

  /** `chain`: id of the chain written here. `retentionDays`: 0 for ever. */
  constructor(client: Client, chain: string, retentionDays: number, nowMs: () => number) {
    this.#client = client;
    this.#chain = chain;
    this.keptMs = retentionDays === 0 ? null : retentionDays * dayMs;
    this.#nowMs = nowMs;
  }

  async write(lines: string): Promise<void> {
    let args: string[] = [];
    let size = 0;
    for (const line of lines.split("\n")) {
      if (line === "") continue;
      if (args.length >= 2 * maxLines || size + line.length > maxChars) {
        await this.#append(args);
        args = [];
        size = 0;
      }
      args.push(numbered.exec(line)?.[1] ?? "", line);
      size += line.length;
    }
    if (args.length > 0) await this.#append(args);
  }

  async #append(args: readonly string[]): Promise<void> {
    await this.#client.eval(append, 2, auditStream, auditEnds, this.#chain, ...args);
  }

  /** null also if the store can't be reached: writing will report that. */
  async previous(): Promise<End | null> {
    try {
      if (this.#client.status !== "ready") await once(this.#client, "ready", { signal: AbortSignal.timeout(readyMs) });
      for (const [, fields] of await this.#client.xrevrange(auditStream, "+", "-", "COUNT", 10)) {
        const last = readEnd(fields[1] ?? "");
        if (last !== null) return last.end;
      }
    } catch {}
    return null;
  }

  /** By the records' own time, which the chain protects, up to the first record to keep. */
  async expired(): Promise<Expired | null> {
    if (this.keptMs === null) return null;
    const beforeMs = this.#nowMs() - this.keptMs;
    const ends = new Map<string, End>();
    const claims = new RetentionClaims(this.name);
    let last = "";
    for await (const [id, line] of entriesOf(this.#client)) {
      const end = readEnd(line);
      if (end !== null && end.timeMs >= beforeMs) break;
      if (end !== null) {
        ends.set(end.end.chain, end.end);
        claims.note(end.link, id);
      }
      last = id;
    }
    if (last === "") return null;
    const going = [...ends.values()];
    return {
      ends: [...(await this.#needed(claims)), ...going],
      remove: async () => {
        await this.#client.eval(
          trim,
          2,
          auditStream,
          auditEnds,
          after(last),
          ...going.flatMap(({ chain, seq }) => [chain, String(seq)]),
        );
      },
    };
  }

  /** Only chains that still have records. */
  async #needed({ retired }: RetentionClaims): Promise<End[]> {
    const chains = [...new Set(retired.map(({ chain }) => chain))];
    if (chains.length === 0) return [];
    const there = await this.#client.hmget(auditEnds, ...chains);
    return stillNeeded(retired, new Set(chains.filter((_chain, index) => there[index] !== null)));
  }

  close(): Promise<void> {
    this.#client.disconnect();
    return Promise.resolve();
  }
}

export const openRedisSink = (
  url: string,
  password: string | null,
  tls: StoreTls | string | null,
  chain: string,
  retentionDays: number,
  nowMs: () => number,
): RedisSink => new RedisSink(connectRedis(url, password, tls), chain, retentionDays, nowMs);

/** The smallest id of a stream that is greater. */
function after(id: string): string {
  const [ms = "0", number = "0"] = id.split("-");
  return `${ms}-${BigInt(number) + 1n}`;
}

async function* entriesOf(client: Client): AsyncGenerator<readonly [id: string, line: string]> {
  let from = "-";
  for (;;) {
    const entries = await client.xrange(auditStream, from, "+", "COUNT", page);
    for (const [id, fields] of entries) yield [id, fields[1] ?? ""];
    const last = entries.at(-1)?.[0];
    if (entries.length < page || last === undefined) return;
    from = `(${last}`;
  }
}

/** All records, oldest first. */
export async function* streamLines(client: Client): AsyncGenerator<string> {
  for await (const [, line] of entriesOf(client)) yield line;
}
