/** Installs the real parts that the tests use, and says where each is: `make tools`. */
import { join } from "node:path";
import { inCi } from "./missing-tool.ts";
import {
  ensureDebian,
  ensurePythonEnv,
  ensureTool,
  goTools,
  MissingTool,
  pinnedVersion,
  type ToolName,
} from "./tools.ts";
import { ensureValkey } from "./valkey.ts";

const requirements = join(import.meta.dirname, "..", "tools", "requirements.txt");

const parts: Record<string, () => Promise<string>> = {
  ...Object.fromEntries(Object.keys(goTools).map((name) => [name, () => ensureTool(name as ToolName)])),
  "redis-server": () => ensureDebian("redis-server", "redis-server"),
  prometheus: () => ensureDebian("prometheus", "prometheus"),
  chromium: () => ensureDebian("chromium", "chromium"),
  nginx: () => ensureDebian("nginx", "nginx"),
  wrk: () => ensureDebian("wrk", "wrk"),
  python: () => ensurePythonEnv(requirements),
  "valkey-server": ensureValkey,
};

/** What only the benchmarks and the end-to-end lane need. They get it themselves, so that `make test` doesn't wait for it. */
const notForTests: readonly string[] = [
  ...["fortio", "nginx", "wrk"],
  ...["kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy", "metrics-server", "kube-router"],
];

/** With names, only those. */
const wanted =
  process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts).filter((name) => !notForTests.includes(name));
let missing = 0;
for (const name of wanted) {
  const ensure = parts[name];
  if (!ensure) throw new Error(`unknown tool ${name}; known: ${Object.keys(parts).join(", ")}`);
  const line = await installed(name, ensure);
  process.stdout.write(`${line}\n`);
}
// Off CI a missing part costs its tests only, which skip loudly.
if (missing > 0 && inCi()) process.exitCode = 1;

async function installed(name: string, ensure: () => Promise<string>): Promise<string> {
  const started = performance.now();
  const label = name in goTools ? `${name} ${await pinnedVersion(name as ToolName)}` : name;
  try {
    const path = await ensure();
    return `${label.padEnd(24)} ${`${((performance.now() - started) / 1000).toFixed(1)} s`.padStart(8)}  ${path}`;
  } catch (error) {
    if (!(error instanceof MissingTool)) throw error;
    missing += 1;
    return `${label.padEnd(24)}  MISSING  ${error.message}`;
  }
}
