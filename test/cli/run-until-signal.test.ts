import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";

const module = new URL("../../cli/run-until-signal.ts", import.meta.url).href;

/** What a process says and how it ends that gets `signal` at the word "now". */
async function ended(signal: NodeJS.Signals, script: string): Promise<{ said: string; code: number | null }> {
  const source = `import { runUntilSignal } from ${JSON.stringify(module)}; const open = setInterval(() => {}, 1e6); ${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 120_000,
  });
  let said = "";
  child.stdout.on("data", (data) => {
    said += data;
    if (said === "now\n") child.kill(signal);
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { said, code };
}

describe("a process that serves until it is asked to end", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it(`winds up at ${signal}`, async () => {
      const serving = `{ async close() { console.log("closed"); clearInterval(open); } }`;
      assert.deepEqual(
        await ended(signal, `runUntilSignal(async () => (${serving})); setImmediate(() => console.log("now"));`),
        {
          said: "now\nclosed\n",
          code: 0,
        },
      );
    });

    it(`ends at once at ${signal} while it is still starting`, async () => {
      assert.deepEqual(await ended(signal, `runUntilSignal(() => new Promise(() => console.log("now")));`), {
        said: "now\n",
        code: 0,
      });
    });
  }

  it("does not wait where there is nothing to serve", async () => {
    assert.deepEqual(
      await ended("SIGTERM", `await runUntilSignal(async () => null); console.log("done"); clearInterval(open);`),
      { said: "done\n", code: 0 },
    );
  });
});
