/** One command run to its end, its output kept: a failure is a value, for the caller knows what it means. */
import { spawn } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

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

export function run(
  command: string,
  args: readonly string[],
  { input = "", ...options }: CommandOptions = {},
): Promise<Finished> {
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

const pausesMs = [2_000, 10_000];

/** For what fetches from a registry, which fails at times: as `run`, and twice more where it fails. */
export async function runAgain(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  for (const pauseMs of pausesMs) {
    const done = await run(command, args, options);
    // null: it is not there, or somebody ended it.
    if (done.code === 0 || done.code === null) return done;
    process.stderr.write(
      `${command} ${args.slice(0, 3).join(" ")} failed, and is tried again:\n${lastLines(done.stderr, 3)}\n`,
    );
    await sleep(pauseMs);
  }
  return run(command, args, options);
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
