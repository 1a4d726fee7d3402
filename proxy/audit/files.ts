/** Audit files in a folder, and their content. They are read line by line, since a file can be large and calls go on. */
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { type ChainEnd, readEnd } from "./chain.ts";

/** Time, chain and number. */
export const auditFile = /^audit-(\d{8}T\d{9}Z)-([0-9a-f-]{36})-(\d{6})\.jsonl$/;

/** Names in the order in which the files were written. */
export async function auditFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => auditFile.test(name)).sort();
}

export interface FileContent {
  first: ChainEnd | null;
  /** The last whole record. */
  last: ChainEnd | null;
  /** Records that announce deletions. */
  retired: ChainEnd[];
}

const lines = (file: string) => createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });

export async function readAuditFile(file: string): Promise<FileContent> {
  const content: FileContent = { first: null, last: null, retired: [] };
  /** If the last line is cut off, the record before it. */
  let [before, latest] = ["", ""];
  for await (const line of lines(file)) {
    if (latest === "") content.first = readEnd(line);
    [before, latest] = [latest, line];
    if (!line.includes('"retired"')) continue;
    const record = readEnd(line);
    if (record?.link.type === "retired") content.retired.push(record);
  }
  content.last = readEnd(latest) ?? readEnd(before);
  return content;
}

/** The first record of a file. */
export async function firstOf(file: string): Promise<ChainEnd | null> {
  for await (const line of lines(file)) return readEnd(line);
  return null;
}

/** Another process may use the folder and delete the file first. */
export function gone(cause: { code?: string }): null {
  if (cause.code === "ENOENT") return null;
  throw cause;
}
