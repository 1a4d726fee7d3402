/** Where built tools live: outside the repository, so that every clone and every run shares them. */

import { rmSync } from "node:fs";
import { mkdir, stat, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const heartbeatMs = 2_000;
const staleAfterMs = 20_000;

export async function cacheFolder(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const folder = env["SLUICE_TOOLS_CACHE"] || join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "sluice-tools");
  await mkdir(folder, { recursive: true });
  return folder;
}

/**
 * Two test files that need one tool build it once. The holder touches its lock as long as it lives, so a lock left
 * by a killed process frees itself. Whatever is made under a lock is put in place by a rename: should two processes
 * ever hold it, work is wasted and nothing is broken.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = join(await cacheFolder(), `${name}.lock`);
  while (!(await taken(lock))) await sleep(200);
  const release = () => rmSync(lock, { force: true });
  const heartbeat = setInterval(() => void utimes(lock, new Date(), new Date()).catch(() => undefined), heartbeatMs);
  process.once("exit", release);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    process.off("exit", release);
    release();
  }
}

async function taken(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, `${process.pid}\n`, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const held = await stat(lock).catch(() => undefined);
  if (held && Date.now() - held.mtimeMs > staleAfterMs) rmSync(lock, { force: true });
  return false;
}
