/**
 * What an idle installation costs: CPU time until ready, and resident memory when ready and ten seconds later, of the code as
 * the image has it and of the source, which an earlier start has compiled. Part of `make bench`. CPU time hardly depends on what else the machine does.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Child, removeFolder, startChild, temporaryFolder } from "../harness/child.ts";
import { startCluster } from "../harness/cluster.ts";
import { run } from "../harness/command.ts";
import { freePort } from "../harness/free-port.ts";
import { MissingTool } from "../harness/tools.ts";
import { untilReady } from "../harness/until-ready.ts";

const root = join(import.meta.dirname, "../..");
const ticksPerSecond = 100;
const idleMs = 10_000;

const mebibytesOf = async (pid: number): Promise<string> => {
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]);
  return (kilobytes / 1024).toFixed(0);
};

const cpuSecondsOf = async (pid: number): Promise<string> => {
  const [, fields = ""] = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ");
  const [user = 0, system = 0] = fields.split(" ").slice(11, 13).map(Number);
  return ((user + system) / ticksPerSecond).toFixed(2);
};

async function report(what: string, child: Child, statusUrl: string): Promise<void> {
  await untilReady(child, async () => (await fetch(`${statusUrl}/readyz`)).ok, 120_000);
  const figures = [await cpuSecondsOf(child.pid), await mebibytesOf(child.pid)];
  await sleep(idleMs);
  figures.push(await mebibytesOf(child.pid));
  process.stdout.write(`${what.padEnd(28)}${figures.map((figure) => figure.padStart(12)).join("")}\n`);
}

/** A folder of manifests needs no cluster. */
async function dev(main: string, what: string, dir: string): Promise<void> {
  const [port, statusPort] = [await freePort(), await freePort()];
  const args = [
    main,
    "dev",
    join(root, "examples/quickstart/policies"),
    `--port=${port}`,
    `--status-port=${statusPort}`,
  ];
  const child = await startChild(process.execPath, args, { name: "dev", logFile: join(dir, "dev.log") });
  await report(what, child, `http://127.0.0.1:${statusPort}`);
  await child.end();
}

async function sidecar(main: string, what: string, dir: string, fleet: string): Promise<void> {
  const [port, statusPort] = [await freePort(), await freePort()];
  const token = join(dir, "token");
  await writeFile(token, "a.b.c");
  const flags = [`--fleet=${fleet}`, `--port=${port}`, `--status-port=${statusPort}`, `--token-file=${token}`];
  const child = await startChild(process.execPath, [main, "sidecar", ...flags], {
    name: "sidecar",
    logFile: join(dir, "sidecar.log"),
  });
  await report(what, child, `http://127.0.0.1:${statusPort}`);
  await child.end();
}

async function installation(main: string, form: string, dir: string): Promise<void> {
  const cluster = await startCluster({ proxies: 1, main });
  try {
    const operator = await cluster.startOperator();
    await report(`operator, ${form}`, operator, operator.statusUrl);
    const [proxy] = cluster.proxies;
    if (proxy === undefined) throw new Error("no proxy");
    await proxy.restart();
    await report(`proxy, ${form}`, proxy.child, proxy.statusUrl);
    await sidecar(main, `sidecar, ${form}`, dir, proxy.url);
  } finally {
    await cluster.stop();
  }
}

const dir = await temporaryFolder("footprint");
try {
  const bundled = await run(process.execPath, [join(root, "cli/bundle.ts"), join(dir, "app")]);
  if (bundled.code !== 0) throw new Error(bundled.stderr);
  process.stdout.write(
    `\n${"".padEnd(28)}${["CPU s", "ready, MiB", "idle, MiB"].map((name) => name.padStart(12)).join("")}\n`,
  );
  const forms = { image: join(dir, "app/main.mjs"), source: join(root, "cli/main.ts") };
  for (const [form, main] of Object.entries(forms)) {
    for (const command of ["operator", "proxy", "sidecar", "dev"])
      await run(process.execPath, [main, command, "--help"]);
    await installation(main, form, dir);
    await dev(main, `dev, ${form}`, dir);
  }
} catch (error) {
  if (!(error instanceof MissingTool)) throw error;
  process.stdout.write(`footprint of an installation: not measured, ${error.message}\n`);
} finally {
  removeFolder(dir);
}
