/**
 * Whatever befalls the places where the log is kept, and the processes that write it, verify takes none of it for
 * tampering; and it finds any one change in what is left. Real files and a real Redis, several processes that share them,
 * writes that fail, stay half, or succeed unseen, processes that end or are killed, old records that go.
 */
import assert from "node:assert/strict";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it, mock } from "node:test";
import { AuditLog } from "../../../proxy/audit/audit.ts";
import { Chain } from "../../../proxy/audit/chain.ts";
import { FileSink } from "../../../proxy/audit/file.ts";
import { RedisSink } from "../../../proxy/audit/redis.ts";
import type { AuditSink } from "../../../proxy/audit/sink.ts";
import { auditLines, type Line } from "../../../proxy/audit/source.ts";
import { type Verified, Verifier } from "../../../proxy/audit/verify.ts";
import { type Client, connectRedis } from "../../../proxy/fleet/redis-client.ts";
import { eventually } from "../../harness/gateway.ts";
import fc, { runs } from "../../harness/property.ts";
import { startRedis } from "../../harness/redis.ts";
import { aCall } from "./kit.ts";

const redis = await startRedis();
after(() => redis.stop());
const client: Client = connectRedis(redis.url, null, null);
after(() => client.disconnect());
await eventually(() => Promise.resolve(client.status === "ready"));

/** refused: nothing is done. half: a part is written. stuck: a part is written, and stays. unsure: all is done, and fails. */
const fileFaults = ["refused", "half", "stuck", "unsure"] as const;
/** refused: nothing is done. unsure: all is done, and the answer is lost. */
const storeFaults = ["refused", "unsure"] as const;
type FileFault = (typeof fileFaults)[number];
type StoreFault = (typeof storeFaults)[number];

/** What the next writes to files meet. */
const fileFault: FileFault[] = [];
let stuck = false;

/** All files of this process are written through these. */
async function breakFiles(path: string): Promise<void> {
  const some = await open(join(path, "any"), "w");
  const handle = Object.getPrototypeOf(some) as FileHandle;
  await some.close();
  await rm(join(path, "any"));
  const append = handle.appendFile;
  mock.method(handle, "appendFile", async function (this: FileHandle, data: Buffer) {
    const fault = fileFault.shift();
    stuck = fault === "stuck";
    if (fault === "refused") throw new Error("no space");
    await append.call(this, fault === "half" || stuck ? data.subarray(0, Math.floor(data.length * 0.7)) : data);
    if (fault !== undefined) throw new Error("input/output error");
  });
  const truncate = handle.truncate;
  mock.method(handle, "truncate", function (this: FileHandle, size: number) {
    return stuck ? Promise.reject(new Error("input/output error")) : truncate.call(this, size);
  });
}

/** A process that can be killed: from then on nothing it does has any effect. */
class Victim implements AuditSink {
  readonly name: string;
  readonly durable = true;
  readonly keptMs: number | null;
  readonly #sink: AuditSink;
  readonly #underWay = new Set<Promise<unknown>>();
  dead = false;

  constructor(sink: AuditSink) {
    this.#sink = sink;
    this.name = sink.name;
    this.keptMs = sink.keptMs ?? null;
  }

  async #alive<T>(result: Promise<T>): Promise<T> {
    this.#underWay.add(result);
    const settled = await result.then(
      (value) => () => value,
      (cause: unknown) => () => {
        throw cause;
      },
    );
    this.#underWay.delete(result);
    return this.dead ? new Promise<T>(() => undefined) : settled();
  }

  /** Resolves when what the system was doing for it has come to its end. */
  async kill(): Promise<void> {
    this.dead = true;
    await Promise.allSettled(this.#underWay);
  }

  write(lines: string): Promise<void> {
    return this.dead ? new Promise(() => undefined) : this.#alive(this.#sink.write(lines));
  }

  previous() {
    return this.#sink.previous?.() ?? Promise.resolve(null);
  }

  async expired() {
    const found = (await this.#sink.expired?.()) ?? null;
    return found === null
      ? null
      : {
          ends: found.ends,
          remove: () => (this.dead ? new Promise<void>(() => undefined) : this.#alive(found.remove())),
        };
  }

  close() {
    return this.#sink.close();
  }
}

class Process {
  readonly victims: Victim[];
  readonly storeFault: StoreFault[] = [];
  log!: AuditLog;
  /** null while it is at it. */
  #hourly: (() => void) | null = null;
  readonly #clock: { ms: number };

  private constructor(path: string, id: string, clock: { ms: number }) {
    this.#clock = clock;
    const nowMs = () => clock.ms;
    const store = new Proxy(client, {
      get: (target, name) => {
        if (name === "eval") return (...args: Parameters<Client["eval"]>) => this.#eval(args);
        if (name === "disconnect") return () => undefined;
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function" ? (value as () => unknown).bind(target) : value;
      },
    });
    this.victims = [
      new Victim(new FileSink(id, { folder: path, maxBytes: 2_500, retentionDays: 3, nowMs })),
      new Victim(new RedisSink(store, id, 3, nowMs)),
    ];
  }

  async #eval(args: Parameters<Client["eval"]>): Promise<unknown> {
    const fault = this.storeFault.shift();
    if (fault === "refused") throw new Error("connection is closed");
    const answer = await client.eval(...args);
    if (fault === "unsure") throw new Error("command timed out");
    return answer;
  }

  static async start(path: string, id: string, clock: { ms: number }): Promise<Process> {
    const made = new Process(path, id, clock);
    made.log = await AuditLog.open(new Chain(id, null), made.victims, {
      nowMs: () => clock.ms,
      trouble: () => undefined,
      after: (ms, then) => made.#after(ms, then),
    });
    // By the files' dates all of them are old here, so none may be begun with a record of days ago.
    assert.equal(await made.log.durable(20_000), true);
    return made;
  }

  /** Pauses before another try are left out, and an hour is over when the test says so. */
  #after(ms: number, then: () => void): () => void {
    if (ms === 3_600_000) {
      this.#hourly = then;
      return () => undefined;
    }
    const timer = setTimeout(then, ms <= 5_000 ? 0 : ms);
    return () => clearTimeout(timer);
  }

  async write(count: number): Promise<void> {
    for (let at = 0; at < count; at++) {
      this.log.write("call", aCall());
      this.#clock.ms += 60_000;
    }
    assert.equal(await this.log.durable(20_000), true);
  }

  async hour(): Promise<void> {
    await eventually(() => Promise.resolve(this.#hourly !== null));
    const then = this.#hourly;
    this.#hourly = null;
    then?.();
    await eventually(() => Promise.resolve(this.#hourly !== null));
  }

  async kill(): Promise<void> {
    await Promise.all(this.victims.map((victim) => victim.kill()));
  }
}

interface Step {
  what: "write" | "restart" | "kill" | "killWriting" | "days";
  who: number;
  count: number;
  file: FileFault[];
  store: StoreFault[];
}
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom("write", "write", "write", "restart", "kill", "killWriting", "days"),
  who: fc.nat({ max: 1 }),
  count: fc.integer({ min: 1, max: 6 }),
  file: fc.array(fc.constantFrom(...fileFaults), { maxLength: 2 }),
  store: fc.array(fc.constantFrom(...storeFaults), { maxLength: 2 }),
});

const verified = (lines: readonly Line[], place: "file" | "redis"): Verified => {
  const verifier = new Verifier(null, place);
  for (const { text, where, torn } of lines) verifier.add(text, where, torn);
  return verifier.end();
};

let processes = 0;
const newId = (): string => `00000000-0000-4000-8000-${String(++processes).padStart(12, "0")}`;

/** What is in the files and in the store after all that. */
async function lived(path: string, steps: readonly Step[]): Promise<Record<"file" | "redis", Line[]>> {
  await client.flushall();
  // Files are new by the date of the machine; the records' own time has to make them old.
  const clock = { ms: Date.now() + 1_000 * 86_400_000 };
  const fleet = [await Process.start(path, newId(), clock), await Process.start(path, newId(), clock)];
  const again = async (who: number): Promise<void> => void (fleet[who] = await Process.start(path, newId(), clock));
  for (const { what, who, count, file, store } of steps) {
    const one = fleet[who] as Process;
    fileFault.push(...file);
    one.storeFault.push(...store);
    if (what === "write") await one.write(count);
    else if (what === "days") {
      clock.ms += count * 86_400_000;
      await one.hour();
    } else if (what === "restart") {
      await one.log.close(20_000);
      await again(who);
    } else {
      if (what === "killWriting") {
        for (let at = 0; at < count; at++) one.log.write("call", aCall());
        await new Promise((resolve) => setImmediate(resolve));
      }
      await one.kill();
      await again(who);
    }
    fileFault.length = 0;
  }
  for (const one of fleet) await one.log.close(20_000);
  const lines: Record<"file" | "redis", Line[]> = { file: [], redis: [] };
  for await (const line of auditLines([path], { url: redis.url, password: null }))
    lines[line.stored ? "redis" : "file"].push(line);
  return lines;
}

const recordOf = (line: Line): { chain: string; seq: number } | null => {
  try {
    return JSON.parse(line.text) as { chain: string; seq: number };
  } catch {
    return null;
  }
};

/** Records within a chain, each with the lines that have it. */
function within(lines: readonly Line[]): number[][] {
  const byRecord = new Map<string, number[]>();
  const bounds = new Map<string, { from: number; to: number }>();
  for (const [index, line] of lines.entries()) {
    const record = recordOf(line);
    if (record === null) continue;
    byRecord.set(`${record.chain} ${record.seq}`, [...(byRecord.get(`${record.chain} ${record.seq}`) ?? []), index]);
    const bound = bounds.get(record.chain) ?? { from: record.seq, to: record.seq };
    bounds.set(record.chain, { from: Math.min(bound.from, record.seq), to: Math.max(bound.to, record.seq) });
  }
  return [...byRecord].flatMap(([name, at]) => {
    const [chain = "", seq] = name.split(" ");
    const bound = bounds.get(chain);
    return bound !== undefined && Number(seq) > bound.from && Number(seq) < bound.to ? [at] : [];
  });
}

interface Tampering {
  how: "change" | "remove" | "swap";
  which: number;
  at: number;
}
const tampering: fc.Arbitrary<Tampering> = fc.record({
  how: fc.constantFrom("change", "remove", "swap"),
  which: fc.nat(),
  at: fc.nat(),
});

/** null where there is nothing to do it to. */
function tampered(lines: readonly Line[], { how, which, at }: Tampering): Line[] | null {
  const records = within(lines);
  if (records.length === 0) return null;
  const chosen = records[which % records.length] ?? [];
  if (how === "remove") return lines.filter((_line, place) => !chosen.includes(place));
  const out = [...lines];
  const [first = 0] = chosen;
  const line = lines[first] as Line;
  if (how === "change") {
    const place = at % line.text.length;
    out[first] = {
      ...line,
      text: `${line.text.slice(0, place)}${line.text[place] === "7" ? "8" : "7"}${line.text.slice(place + 1)}`,
    };
    return out;
  }
  const { chain } = recordOf(line) ?? { chain: "" };
  const others = records.filter(([place = 0]) => place !== first && recordOf(lines[place] as Line)?.chain === chain);
  const other = others[at % Math.max(1, others.length)]?.[0];
  if (other === undefined) return null;
  [out[first], out[other]] = [lines[other] as Line, line];
  return out;
}

describe("an audit log that much befalls", () => {
  it("is sound in every place, and no longer when somebody changed it", { timeout: 240_000 }, async (context) => {
    const first = await mkdtemp(join(tmpdir(), "sluice-faults-"));
    await breakFiles(first);
    after(() => mock.restoreAll());
    await rm(first, { recursive: true });
    const seen = { records: 0, chains: 0, torn: 0, repeated: 0, retired: 0, tampered: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 3, maxLength: 14 }),
        fc.array(tampering, { minLength: 8, maxLength: 8 }),
        async (steps, changes) => {
          const path = await mkdtemp(join(tmpdir(), "sluice-faults-"));
          try {
            const lines = await lived(path, steps);
            for (const place of ["file", "redis"] as const) {
              const { troubles, notes, records, chains } = verified(lines[place], place);
              assert.deepEqual(troubles, [], place);
              seen.records += records;
              seen.chains += chains;
              for (const { what } of notes) {
                if (what.includes("cut off")) seen.torn++;
                if (what.includes("once more")) seen.repeated++;
                if (what.includes("as long as retention requires")) seen.retired++;
              }
              for (const change of changes) {
                const other = tampered(lines[place], change);
                if (other === null) continue;
                seen.tampered++;
                assert.notDeepEqual(verified(other, place).troubles, [], `${place}: ${JSON.stringify(change)}`);
              }
            }
          } finally {
            fileFault.length = 0;
            await rm(path, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: runs(60) },
    );
    context.diagnostic(JSON.stringify(seen));
    for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `nothing was ${what}`);
  });
});
