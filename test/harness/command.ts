/** One command run to its end, its output kept: a failure is a value, for the caller knows what it means. */
import { spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

export interface Finished {
  /** null where a signal ended it, or where it never started. */
  code: number | null;
  stdout: string;
  /** What was wrong, if it never started. */
  stderr: string;
}

export interface CommandOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** What it reads; absent: nothing. */
  input?: string;
  /** Milliseconds after which it is killed. */
  timeout?: number;
}

export function run(command: string, args: readonly string[], { input = "", ...options }: CommandOptions = {}): Promise<Finished> {
  const { promise, resolve } = Promise.withResolvers<Finished>();
  const child = spawn(command, args, { ...options, stdio: "pipe" });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.on("error", (error) => resolve({ code: null, stdout, stderr: error.message }));
  child.on("close", (code) => resolve({ code, stdout, stderr }));
  // It may end without reading.
  child.stdin.on("error", () => undefined).end(input);
  return promise;
}

export function lastLines(text: string, count: number): string {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}

export async function findBinary(name: string, folders: readonly string[] = searched()): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

/** Debian puts servers into sbin, which is not on every user's PATH. */
function searched(): string[] {
  return [...(process.env["PATH"] ?? "").split(delimiter).filter(Boolean), "/usr/sbin", "/usr/bin"];
}
