/** Parts that Debian packages: what is on the machine already is used, the rest is installed where that is allowed. */
import { withLock } from "./cache-folder.ts";
import { type Finished, findBinary, lastLines, run } from "./command.ts";
import { MissingTool } from "./missing-tool.ts";

const ensured = new Map<string, Promise<string>>();

/** Path of the binary. Throws MissingTool where it is absent and can't be installed. */
export function ensureDebian(packageName: string, binary: string): Promise<string> {
  const found = ensured.get(binary) ?? locate(packageName, binary);
  ensured.set(binary, found);
  return found;
}

async function locate(packageName: string, binary: string): Promise<string> {
  const found = await findBinary(binary);
  if (found) return found;
  await withLock("apt", () => install(packageName));
  const installed = await findBinary(binary);
  if (!installed) throw new MissingTool(binary, `Debian's package ${packageName} was installed and has no ${binary}`);
  return installed;
}

/** Throws MissingTool, with what to do by hand. */
export async function install(packageName: string): Promise<void> {
  const byHand = `install Debian's package ${packageName} by hand`;
  if (!(await findBinary("apt-get"))) throw new MissingTool(packageName, `there is no apt-get here; ${byHand}`);
  const asRoot = await becomeRoot();
  if (!asRoot) throw new MissingTool(packageName, `neither root nor sudo without a password; ${byHand}`);

  const installed = await aptGet(asRoot, "install", "-y", "--no-install-recommends", packageName);
  if (installed.code === 0) return;
  // A fresh container has no package lists, and old lists name versions that are gone from the mirror.
  await aptGet(asRoot, "update");
  const again = await aptGet(asRoot, "install", "-y", "--no-install-recommends", packageName);
  if (again.code !== 0)
    throw new MissingTool(packageName, `apt-get install failed; ${byHand}:\n${lastLines(again.stderr, 10)}`);
}

function aptGet(asRoot: readonly string[], ...args: string[]): Promise<Finished> {
  const [command = "env", ...rest] = [
    ...asRoot,
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    "-o",
    "DPkg::Lock::Timeout=300",
    "-o",
    "Acquire::Retries=3",
    ...args,
  ];
  return run(command, rest);
}

/** What to put before a command, or undefined where this user can't become root unasked. */
async function becomeRoot(): Promise<string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  const asked = await run("sudo", ["-n", "true"]);
  return asked.code === 0 ? ["sudo", "-n"] : undefined;
}
