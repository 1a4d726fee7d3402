/**
 * What a proxy makes its callers wait for while it takes a config in. A process of its own, as a proxy has one; run by
 * control-plane.ts, which writes the configs:
 *
 *   FOLDER/few        ten keys
 *   FOLDER/all-N      all keys, none of which is as in the one before
 *   FOLDER/one-N      all-N with one key changed
 *
 * Prints rows as JSON: [name, figures].
 */
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { pino } from "pino";
import type { ConfigFiles } from "../../proxy/config/parse.ts";
import { startProxy } from "../../proxy/main.ts";
import { parseProxySettings } from "../../proxy/settings.ts";
import { folderSource } from "../../proxy/snapshot/source.ts";

const [folder = "", count = "0", keys = "0"] = process.argv.slice(2);
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const mebibytes = (bytes: number): number => bytes / 1_048_576;

const rows = new Map<string, number[]>();
const note = (name: string, value: number): void => void rows.set(name, [...(rows.get(name) ?? []), value]);

let files: ConfigFiles = {};
const give = async (name: string): Promise<void> => {
  files = await folderSource(join(folder, name), 1_000).current();
  collect();
};

/** The longest that anything else had to wait while the work went on. */
async function maxWaitMs(work: () => Promise<void>): Promise<number> {
  let [longest, running, lastMs] = [0, true, performance.now()];
  const look = (): void => {
    const nowMs = performance.now();
    longest = Math.max(longest, nowMs - lastMs);
    lastMs = nowMs;
    if (running) setImmediate(look);
  };
  setImmediate(look);
  lastMs = performance.now();
  await work();
  running = false;
  return longest;
}

await give("few");
const settings = parseProxySettings(["--port", "0", "--status-port", "0", "--host", "127.0.0.1"], {});
const proxy = await startProxy({
  settings,
  source: { current: async () => files, watch: () => () => undefined },
  log: pino({ level: "silent" }),
});

async function swap(name: string): Promise<void> {
  const began = process.cpuUsage();
  const beganMs = performance.now();
  const stallMs = await maxWaitMs(() => proxy.refresh());
  const { user, system } = process.cpuUsage(began);
  const tookMs = performance.now() - beganMs;
  note(`proxy, ${name}: processor time`, (user + system) / 1000);
  note(`proxy, ${name}: until it is live, by the clock`, tookMs);
  note(`proxy, ${name}: longest stall, by the clock`, stallMs);
  const idle = await maxWaitMs(() => new Promise((resolve) => setTimeout(resolve, tookMs)));
  note("proxy, nothing to do for as long: longest stall", idle);
}

function lookUp(among: number): void {
  const snapshot = proxy.current.snapshot();
  const looks = 200_000;
  const began = performance.now();
  for (let at = 0; at < looks; at++) snapshot?.findKey(`key-${at % among}`);
  note(`proxy: look-up among ${among} keys, microseconds`, ((performance.now() - began) * 1000) / looks);
}

for (let round = 0; round < 5; round++) lookUp(10);
files = {};
collect();
const before = process.memoryUsage();
for (let round = 0; round < Number(count); round++) {
  await give(`all-${round}`);
  await swap("all keys new");
  await give(`one-${round}`);
  await swap("one key changed");
}
files = {};
for (let round = 0; round < 3; round++) {
  // Memory outside the heap is released a little after its owner.
  collect();
  await new Promise((resolve) => setTimeout(resolve, 100));
}
const after = process.memoryUsage();
note("proxy: what all keys take of the heap, MiB", mebibytes(after.heapUsed - before.heapUsed));
note("proxy: and of memory outside it, MiB", mebibytes(after.external - before.external));
for (let round = 0; round < 5; round++) lookUp(Number(keys));
await proxy.close();
process.stdout.write(`${JSON.stringify([...rows])}\n`);
