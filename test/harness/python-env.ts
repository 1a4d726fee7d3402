/** A virtual environment per list of requirements, kept between runs. */
import { createHash } from "node:crypto";
import { access, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, withLock } from "./cache-folder.ts";
import { lastLines, run, runAgain } from "./command.ts";
import { ensureDebian, install } from "./debian.ts";
import { MissingTool } from "./missing-tool.ts";

/** Path of a python that has what `requirementsFile` lists. Throws MissingTool where that can't be had. */
export async function ensurePythonEnv(requirementsFile: string): Promise<string> {
  const base = await ensureDebian("python3", "python3");
  const version = await run(base, ["-c", "import sys; print(sys.version, sys.prefix)"]);
  const hash = createHash("sha256")
    .update(await readFile(requirementsFile))
    .update(version.stdout);
  const folder = join(await cacheFolder(), `python-${hash.digest("hex").slice(0, 16)}`);
  await withLock("python", async () => {
    if (!(await exists(join(folder, "complete")))) await create(base, folder, requirementsFile);
  });
  return join(folder, "bin", "python");
}

/** Made in its final place, since a virtual environment holds its own path; `complete` says that it got to its end. */
async function create(base: string, folder: string, requirementsFile: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await createVenv(base, folder);
  const pip = ["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--timeout", "60"];
  const installed = await runAgain(join(folder, "bin", "python"), [...pip, "-r", requirementsFile]);
  if (installed.code !== 0)
    throw new MissingTool(
      "python packages",
      `pip install -r ${requirementsFile} failed:\n${lastLines(installed.stderr, 10)}`,
    );
  await writeFile(join(folder, "complete"), "");
}

async function createVenv(base: string, folder: string): Promise<void> {
  const made = await run(base, ["-m", "venv", folder]);
  if (made.code === 0) return;
  // Debian ships venv's half of the standard library apart, and only for its own python.
  await withLock("apt", () => install("python3-venv"));
  const again = await run("/usr/bin/python3", ["-m", "venv", "--clear", folder]);
  if (again.code !== 0) throw new MissingTool("python3 venv", lastLines(again.stderr + again.stdout, 10));
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
