/** Audit records in a stream of Redis or Valkey, `sluice:{audit}`, each an entry with one field `r`. */
import { type Client, connect } from "../fleet/redis-client.ts";
import type { AuditSink } from "./sink.ts";

export const auditStream = "sluice:{audit}";
const dayMs = 86_400_000;

export class RedisSink implements AuditSink {
  readonly name = "redis";
  readonly durable = true;
  readonly #client: Client;
  readonly #retentionDays: number;
  readonly #nowMs: () => number;

  constructor(client: Client, retentionDays: number, nowMs: () => number) {
    this.#client = client;
    this.#retentionDays = retentionDays;
    this.#nowMs = nowMs;
  }

  static open(url: string, password: string | null, ca: string | null, retentionDays: number, nowMs: () => number): RedisSink {
    return new RedisSink(connect(url, password, ca), retentionDays, nowMs);
  }

  /** In one turn, so that the server keeps their order. */
  async write(lines: string): Promise<void> {
    const entries = lines.split("\n").filter((line) => line !== "");
    await Promise.all(entries.map((line) => this.#client.xadd(auditStream, "*", "r", line)));
    if (this.#retentionDays > 0) await this.#client.xtrim(auditStream, "MINID", "~", String(this.#nowMs() - this.#retentionDays * dayMs));
  }

  close(): Promise<void> {
    this.#client.disconnect();
    return Promise.resolve();
  }
}

const page = 1_000;

/** All records, the oldest first. */
export async function* streamLines(client: Client): AsyncGenerator<string> {
  let from = "-";
  for (;;) {
    const entries = await client.xrange(auditStream, from, "+", "COUNT", page);
    for (const [, fields] of entries) yield fields[1] ?? "";
    const last = entries.at(-1)?.[0];
    if (entries.length < page || last === undefined) return;
    from = `(${last}`;
  }
}
