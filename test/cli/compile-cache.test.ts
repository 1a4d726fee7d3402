/** A start from the source uses the code that an earlier start compiled. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import { run } from "../harness/command.ts";

const root = join(import.meta.dirname, "../..");

it("a second start from the source compiles next to nothing", async () => {
  const { NODE_COMPILE_CACHE: _, NODE_DISABLE_COMPILE_CACHE: __, ...env } = process.env;
  const start = async (): Promise<string> => {
    const options = { env: { ...env, NODE_DEBUG_NATIVE: "COMPILE_CACHE" } };
    const { code, stderr } = await run(process.execPath, [join(root, "cli/main.ts"), "lint", "--help"], options);
    assert.equal(code, 0, stderr);
    return stderr;
  };
  await start();
  const again = await start();
  const accepted = again.match(/was accepted/g)?.length ?? 0;
  const rejected = again.match(/was rejected|cache miss/gi)?.length ?? 0;
  assert.ok(accepted > 50 && rejected === 0, `${accepted} used, ${rejected} not\n${again.slice(0, 2_000)}`);
});
