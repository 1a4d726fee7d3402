/** Which files of a folder are expired, and what the chain must announce before they are deleted. */
import { stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { RetentionClaims, stillNeeded } from "./claims.ts";
import { auditFile, auditFiles, type FileContent, firstOf, gone, readAuditFile } from "./files.ts";
import type { End, Expired } from "./sink.ts";

/**
 * What an expired file holds; null if it isn't expired. Decided by its last record's own time, which the chain protects:
 * setting back a file's date does not make the gateway delete it.
 */
async function aged(file: string, beforeMs: number): Promise<FileContent | null> {
  if ((await stat(file)).mtimeMs >= beforeMs) return null;
  const content = await readAuditFile(file);
  return content.last !== null && content.last.timeMs >= beforeMs ? null : content;
}

const chainOf = (name: string): string => auditFile.exec(name)?.[2] ?? "";

/** Chains that a remaining file still needs announcements for: its own, and those that it follows. */
async function neededBy(folder: string, name: string): Promise<string[]> {
  const claims = new RetentionClaims("file");
  const first = auditFile.exec(name)?.[3] === "000000" ? await firstOf(join(folder, name)).catch(gone) : null;
  if (first !== null) claims.note(first.link, name);
  return [chainOf(name), ...claims.follows.map(({ chain }) => chain)];
}

/** In order, so that after a failure the remaining files are the end of their chain. */
async function removeAll(files: readonly string[]): Promise<void> {
  for (const file of files) await unlink(file).catch(gone);
}

/** Files to delete, by name, with what they hold; and the names of the files that stay. */
async function sorted(
  folder: string,
  beforeMs: number,
): Promise<{ going: Map<string, FileContent>; staying: string[] }> {
  const going = new Map<string, FileContent>();
  const staying: string[] = [];
  const names = await auditFiles(folder);
  for (const name of names) {
    // The newest file always stays, since it announces the others. So does every file after one that stays.
    const stays = name === names.at(-1) || staying.some((text) => chainOf(text) === chainOf(name));
    const content = stays ? null : await aged(join(folder, name), beforeMs).catch(gone);
    if (content === null) staying.push(name);
    else going.set(name, content);
  }
  return { going, staying };
}

/** null if nothing is expired. `beforeMs`: records of that time and later stay. */
export async function expiredFiles(folder: string, beforeMs: number): Promise<Expired | null> {
  const { going, staying } = await sorted(folder, beforeMs);
  if (going.size === 0) return null;
  const needed = new Set((await Promise.all(staying.map((name) => neededBy(folder, name)))).flat());
  const claims = new RetentionClaims("file");
  const ends: End[] = [];
  for (const [name, { last, retired }] of going) {
    if (last !== null) ends.push(last.end);
    for (const record of retired) claims.note(record.link, name);
  }
  const files = [...going.keys()].map((name) => join(folder, name));
  return { ends: [...stillNeeded(claims.retired, needed), ...ends], remove: () => removeAll(files) };
}
