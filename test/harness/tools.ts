/** The real parts that tests stand on: looked for first, then a cached build, then built. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { cacheFolder, withLock } from "./cache-folder.ts";
import { findBinary, lastLines, runAgain } from "./command.ts";
import { type GoTool, goTools, type ToolName } from "./go-tools.ts";
import { MissingTool, skipReason } from "./missing-tool.ts";

export { ensureDebian } from "./debian.ts";
export { goTools, type ToolName } from "./go-tools.ts";
export { MissingTool, skipReason } from "./missing-tool.ts";
export { ensurePythonEnv } from "./python-env.ts";

/** Builds depend on nothing of the machine but Go itself: with cgo, a machine with a C compiler would build another thing. */
const goEnv = { CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" };

const ensured = new Map<ToolName, Promise<string>>();

/** Path of the binary. Throws MissingTool where it can neither be found nor built. */
export function ensureTool(name: ToolName): Promise<string> {
  const found = ensured.get(name) ?? locate(name);
  ensured.set(name, found);
  return found;
}

/** For a whole file that needs these, as `skipReason` gives it. */
export const skipWithout = (...names: ToolName[]): Promise<string | false> =>
  skipReason(...names.map((name) => () => ensureTool(name)));

/** How one tool is built, and where it is then. */
interface Plan {
  name: ToolName;
  tool: GoTool;
  ldflags: string;
  target: string;
}

async function planOf(name: ToolName): Promise<Plan> {
  const tool: GoTool = goTools[name];
  const ldflags = await linkerFlags(tool);
  const target = join(await cacheFolder(), `${name}-${await cacheKey(name, tool, ldflags)}`, name);
  return { name, tool, ldflags, target };
}

const builtBy = ({ name, target }: Plan): Promise<string | undefined> => findBinary(name, [dirname(target)]);

async function locate(name: ToolName): Promise<string> {
  const assets = process.env["KUBEBUILDER_ASSETS"];
  const given = assets ? await findBinary(name, [assets]) : undefined;
  if (given) return given;

  const plan = await planOf(name);
  const found = await builtBy(plan);
  if (found) return found;
  return withLock(`${basename(plan.tool.folder)}-build`, async () => {
    if (!(await builtBy(plan))) await build(await withSiblings(plan));
    return plan.target;
  });
}

/**
 * The tools of the same go.mod that are missing too. One build compiles what they share once, and links one of them while it
 * compiles another. Go names binaries after their packages then.
 */
async function withSiblings(plan: Plan): Promise<[Plan, ...Plan[]]> {
  const { name, tool, ldflags } = plan;
  const names = (Object.keys(goTools) as ToolName[]).filter(
    (other) => other !== name && goTools[other].folder === tool.folder && basename(goTools[other].package) === other,
  );
  const siblings: Plan[] = [];
  for (const sibling of await Promise.all(names.map(planOf)))
    if (sibling.ldflags === ldflags && !(await builtBy(sibling))) siblings.push(sibling);
  return [plan, ...siblings];
}

async function linkerFlags(tool: GoTool): Promise<string> {
  const versionOf = await pinnedVersions(tool);
  const stamps = Object.entries(tool.stamps(versionOf)).map(([path, value]) => `-X ${path}=${value}`);
  return ["-s", "-w", ...stamps].join(" ");
}

/** The version of a tool, as its go.mod pins it. */
export async function pinnedVersion(name: ToolName): Promise<string> {
  const versionOf = await pinnedVersions(goTools[name]);
  return versionOf(goTools[name].versionOf);
}

async function pinnedVersions(tool: GoTool): Promise<(module: string) => string> {
  const lines = (await readFile(join(tool.folder, "go.mod"), "utf8")).split("\n").map((line) =>
    line
      .trim()
      .replace(/^require /, "")
      .split(" "),
  );
  return (module) => {
    const version = lines.find(([path, value]) => path === module && value?.startsWith("v"))?.[1];
    if (!version) throw new Error(`${tool.folder}/go.mod does not pin ${module}`);
    return version.slice(1);
  };
}

async function cacheKey(name: ToolName, tool: GoTool, ldflags: string): Promise<string> {
  // Asked in the module's folder: its `go` line may have Go fetch a newer toolchain.
  const go = await runAgain("go", ["env", "GOVERSION", "GOOS", "GOARCH"], {
    cwd: tool.folder,
    env: { ...process.env, ...goEnv },
  });
  if (go.code !== 0)
    throw new MissingTool(
      name,
      `no usable Go toolchain (${lastLines(go.stderr, 3)}); install Go, or name a folder that has it in KUBEBUILDER_ASSETS`,
    );
  const hash = createHash("sha256");
  const sources = (await readdir(tool.folder)).filter((file) => /^go\.(mod|sum)$|\.go$/.test(file)).sort();
  for (const file of sources) hash.update(await readFile(join(tool.folder, file)));
  return hash.update([tool.package, ldflags, go.stdout].join("\n")).digest("hex").slice(0, 16);
}

async function build(plans: readonly [Plan, ...Plan[]]): Promise<void> {
  const [{ name, tool, ldflags, target }] = plans;
  const names = plans.map((plan) => plan.name).join(", ");
  process.stderr.write(
    `Building ${names} from Go modules into ${dirname(dirname(target))}; the first time takes minutes.\n`,
  );
  const partial = `${target}.${process.pid}.partial`;
  const output = plans.length === 1 ? partial : `${partial}/`;
  for (const plan of plans) await mkdir(dirname(plan.target), { recursive: true });
  const packages = plans.map((plan) => plan.tool.package);
  const args = [
    "build",
    "-mod=readonly",
    "-buildvcs=false",
    "-trimpath",
    "-ldflags",
    ldflags,
    "-o",
    output,
    ...packages,
  ];
  // What was fetched and compiled the first time is not again.
  const done = await runAgain("go", args, { cwd: tool.folder, env: { ...process.env, ...goEnv } });
  if (done.code === 0)
    for (const plan of plans) await rename(plans.length === 1 ? partial : join(partial, plan.name), plan.target);
  await rm(partial, { recursive: true, force: true });
  if (done.code !== 0)
    throw new MissingTool(name, `go build ${packages.join(" ")} failed:\n${lastLines(done.stderr, 20)}`);
}
