/** A server that a test runs in a process of its own: its log in a file, and dead no later than the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { findBinary, lastLines } from "./command.ts";

export interface Child {
  readonly pid: number;
  readonly name: string;
  running(): boolean;
  /** Returns when the process is gone; one that ignores SIGTERM for 30 s is killed. */
  end(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Last lines of its log, for the message of whatever went wrong. */
  tail(): string;
}

export interface ChildOptions {
  name: string;
  /** stdout and stderr are appended, so that a second start keeps what the first one said. */
  logFile: string;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

const graceMs = 30_000;
const alive = new Set<ChildProcess>();
const folders = new Set<string>();

export async function startChild(command: string, args: readonly string[], options: ChildOptions): Promise<Child> {
  cleanUpOnExit();
  const [file = command, ...rest] = [...(await tied()), command, ...args];
  const log = openSync(options.logFile, "a");
  const child = spawn(file, rest, { cwd: options.cwd, env: options.env ?? process.env, stdio: ["ignore", log, log] });
  closeSync(log);
  alive.add(child);
  child.once("exit", () => alive.delete(child));
  await once(child, "spawn");
  // A test that fails before it stops its servers has to end all the same, and ends them as it exits.
  child.unref();
  const running = () => child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid ?? 0,
    name: options.name,
    running,
    end: (signal = "SIGKILL") => end(child, signal, running),
    tail: () => `last lines of ${options.logFile}:\n${lastLines(readFileSync(options.logFile, "utf8"), 20)}`,
  };
}

async function end(child: ChildProcess, signal: NodeJS.Signals, running: () => boolean): Promise<void> {
  if (!running()) return;
  child.ref();
  const gone = once(child, "exit");
  child.kill(signal);
  const late = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await gone;
  clearTimeout(late);
}

/** A folder that goes when the test's process goes, or earlier with `removeFolder`. */
export async function temporaryFolder(name: string): Promise<string> {
  cleanUpOnExit();
  const folder = await mkdtemp(join(tmpdir(), `sluice-${name}-`));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  folders.delete(folder);
}

/** No exit handler runs in a process that is killed outright; then the kernel ends its children, where it is a Linux. */
async function tied(): Promise<string[]> {
  const setpriv = process.platform === "linux" ? await findBinary("setpriv") : undefined;
  return setpriv ? [setpriv, "--pdeathsig", "KILL", "--"] : [];
}

let cleaning = false;

function cleanUpOnExit(): void {
  if (cleaning) return;
  cleaning = true;
  process.once("exit", () => {
    for (const child of alive) child.kill("SIGKILL");
    for (const folder of folders) removeFolder(folder);
  });
  // Without a listener these signals end the process and skip its exit handlers.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
}
