/** Audit lines from where they are kept: files, folders of files, or the store's stream. */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { connectRedis } from "../fleet/redis-client.ts";
import { auditFiles } from "./files.ts";
import { auditStream, streamLines } from "./redis.ts";

export interface Line {
  text: string;
  /** File or stream, and line. */
  where: string;
  /** The last line of a file, without a line end. */
  torn: boolean;
  /** From the store. */
  stored: boolean;
}

async function endsWhole(file: string, size: number): Promise<boolean> {
  if (size === 0) return true;
  for await (const chunk of createReadStream(file, { start: size - 1 })) return (chunk as Buffer)[0] === 10;
  return true;
}

async function* fileLines(file: string): AsyncGenerator<Line> {
  const { size } = await stat(file);
  const whole = await endsWhole(file, size);
  let number = 0;
  let last: Line | null = null;
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (last !== null) yield last;
    last = { text, where: `${basename(file)}:${++number}`, torn: false, stored: false };
  }
  if (last !== null) yield { ...last, torn: !whole };
}

async function filesOf(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  return (await auditFiles(path)).map((name) => join(path, name));
}

function notReached(cause: unknown): never {
  throw new Error(`the store of --redis is not reached: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
}

/** Lines of files and folders, then of the store. Lines without a chain (log lines on stdout) are skipped. */
export async function* auditLines(
  paths: readonly string[],
  redis: { url: string; password: string | null } | null,
): AsyncGenerator<Line> {
  for (const path of paths) for (const file of await filesOf(path)) yield* fileLines(file);
  if (redis === null) return;
  const client = connectRedis(redis.url, redis.password, null);
  try {
    if (client.status !== "ready") await once(client, "ready").catch(notReached);
    let number = 0;
    for await (const text of streamLines(client))
      yield { text, where: `${auditStream} ${++number}`, torn: false, stored: true };
  } finally {
    client.disconnect();
  }
}
