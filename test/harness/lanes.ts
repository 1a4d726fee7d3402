/**
 * Splits the test files into two lanes by what they import. A unit test reaches, directly or through the test harness,
 * no process, socket or server, and takes little time; everything else is an integration test. So a test never has to
 * declare its lane.
 *
 * `lanes.ts unit` runs the unit tests in two processes; `lanes.ts integration` prints the other files, and
 * `lanes.ts properties` those of either lane that try generated cases.
 */
import { spawn } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const outside = /^(node:(child_process|net|http|https|http2|tls|dgram|cluster)|ioredis|undici|fastify)$/;
/** Starts worker threads, which load their modules again. */
const threads = normalize("proxy/text-work/pool.ts");

function importsOf(file: string): string[] {
  const specifiers = readFileSync(file, "utf8").matchAll(
    /\bfrom\s+"([^"]+)"|\bimport\(\s*"([^"]+)"|^import\s+"([^"]+)"/gm,
  );
  return [...specifiers].map(([, from, dynamic, bare]) => {
    const specifier = from ?? dynamic ?? bare ?? "";
    return specifier.startsWith(".") ? normalize(join(dirname(file), specifier)) : specifier;
  });
}

/** Whether a test file, or a part of the harness that it uses, talks to anything outside its process. */
function reachesOutside(file: string, seen = new Set<string>()): boolean {
  if (seen.has(file)) return false;
  seen.add(file);
  return importsOf(file).some(
    (target) =>
      outside.test(target) || target === threads || (/^test\/.*\.ts$/.test(target) && reachesOutside(target, seen)),
  );
}

/** Tests of processor time take minutes of it. */
const slow = /\blinear[^/]*\.test\.ts$/;

export function lane(name: "unit" | "integration"): string[] {
  const files = globSync("test/**/*.test.ts").sort();
  return files.filter((file) => (reachesOutside(file) || slow.test(file)) === (name === "integration"));
}

/** Test files that `make fuzz` runs. */
export const properties = (): string[] =>
  globSync("test/**/*.test.ts")
    .sort()
    .filter((file) => importsOf(file).includes(normalize("test/harness/property.ts")));

/** Keeps the JavaScript of TypeScript modules from run to run: stripping types is most of the work of loading them. */
const compileCache = "node_modules/.cache/compile";

/** Share of the generated cases that the unit lane tries, as it is run after every edit. `make test` tries all. */
const unitRuns = "0.2";

/** One process a shard, all files of a shard in one process: starting a process for each file would take most of the time. */
async function runUnitTests(): Promise<number> {
  const files = lane("unit");
  const shards = [0, 1].map((shard) => files.filter((_, index) => index % 2 === shard));
  const codes = await Promise.all(
    shards.map(
      (shard) =>
        new Promise<number>((resolve) => {
          const options = ["--test", "--test-isolation=none", "--test-reporter=dot", ...shard];
          const env = { PROPERTY_RUNS: unitRuns, ...process.env, NODE_COMPILE_CACHE: compileCache };
          spawn(process.execPath, options, { stdio: "inherit", env }).on("exit", (code) => resolve(code ?? 1));
        }),
    ),
  );
  return Math.max(...codes);
}

if (import.meta.main) {
  const [, , name] = process.argv;
  if (name === "unit") process.exitCode = await runUnitTests();
  else process.stdout.write(`${(name === "properties" ? properties() : lane("integration")).join("\n")}\n`);
}
