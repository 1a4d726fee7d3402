/**
 * Audit records in a stream of Redis or Valkey, `sluice:{audit}`, each an entry with one field `r`.
 *
 * A batch whose answer was lost comes again; `sluice:{audit}:written:<chain>` holds the number of the chain's last record
 * in the stream, by which those that are there already are passed over.
 */
import { once } from "node:events";
import { type Client, connect } from "../fleet/redis-client.ts";
import { readEnd } from "./chain.ts";
import type { AuditSink, End, Expired } from "./sink.ts";

export const auditStream = "sluice:{audit}";
const dayMs = 86_400_000;
/** How long a start waits for the connection, in milliseconds, to learn what was written last. */
const readyMs = 2_000;
/** Of one command: the server does nothing else meanwhile, and has to answer in time. */
const mostLines = 500;
const mostChars = 1_048_576;
/** Entries of one reading: a record with bodies may have 100 KiB. */
const page = 200;

/** KEYS: the stream, the chain's last number. ARGV: how long to remember that, in milliseconds; then number and line by turns. */
const append = `
local last = tonumber(redis.call('GET', KEYS[2]) or '-1')
for at = 2, #ARGV, 2 do
  local seq = tonumber(ARGV[at])
  if seq > last then
    redis.call('XADD', KEYS[1], '*', 'r', ARGV[at + 1])
    last = seq
  end
end
redis.call('SET', KEYS[2], last, 'PX', ARGV[1])
return last
`;

/** Of a record as it is written: `{"v":1,"chain":"…","seq":7,…`. */
const numbered = /^\{"v":1,"chain":"[^"]*","seq":(\d+),/;

export class RedisSink implements AuditSink {
  readonly name = "redis";
  readonly durable = true;
  readonly #client: Client;
  readonly #written: string;
  readonly #retentionDays: number;
  readonly #nowMs: () => number;

  /** `chain`: the id of the one that is written here. `retentionDays`: 0 for ever. */
  constructor(client: Client, chain: string, retentionDays: number, nowMs: () => number) {
    this.#client = client;
    this.#written = `${auditStream}:written:${chain}`;
    this.#retentionDays = retentionDays;
    this.#nowMs = nowMs;
  }

  async write(lines: string): Promise<void> {
    let args: string[] = [];
    let size = 0;
    for (const line of lines.split("\n")) {
      if (line === "") continue;
      if (args.length >= 2 * mostLines || size + line.length > mostChars) {
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
    await this.#client.eval(append, 2, auditStream, this.#written, String(dayMs), ...args);
  }

  /** null, too, where the store can't be reached: writing will tell. */
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

  /** By the records' own time, which the chain vouches for, up to the first that is to be kept. */
  async expired(): Promise<Expired | null> {
    if (this.#retentionDays === 0) return null;
    const beforeMs = this.#nowMs() - this.#retentionDays * dayMs;
    const ends = new Map<string, End>();
    let last = "";
    for await (const [id, line] of entriesOf(this.#client)) {
      const found = readEnd(line);
      if (found !== null && found.timeMs >= beforeMs) break;
      if (found !== null) ends.set(found.end.chain, found.end);
      last = id;
    }
    if (last === "") return null;
    const client = this.#client;
    return {
      ends: [...ends.values()],
      async remove() {
        await client.xtrim(auditStream, "MINID", after(last));
      },
    };
  }

  close(): Promise<void> {
    this.#client.disconnect();
    return Promise.resolve();
  }
}

export const openRedisSink = (url: string, password: string | null, ca: string | null, chain: string, retentionDays: number, nowMs: () => number): RedisSink =>
  new RedisSink(connect(url, password, ca), chain, retentionDays, nowMs);

/** The next id of a stream that there can be. */
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

/** All records, the oldest first. */
export async function* streamLines(client: Client): AsyncGenerator<string> {
  for await (const [, line] of entriesOf(client)) yield line;
}
