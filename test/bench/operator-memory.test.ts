/** What the operator keeps in memory for a key, so that 20,000 of them fit into 350 MB with all the rest. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { it } from "node:test";
import { run } from "../harness/command.ts";

/** Bytes of heap for a key: its object, what compile and encode remember, its record and its status. */
const budgetBytes = 5_200;
const youngBytes = 20_000_000;
const [few, many] = [500, 3_000];

interface Memory {
  heapUsed: number;
  young: number;
}

async function memoryWith(keys: number): Promise<Memory> {
  const script = join(import.meta.dirname, "operator-memory.ts");
  const { code, stdout, stderr } = await run(process.execPath, [script, String(keys)]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Memory;
}

it("a key takes no more of the operator's memory than its budget", { timeout: 180_000 }, async () => {
  const [small, large] = [await memoryWith(few), await memoryWith(many)];
  const bytes = (large.heapUsed - small.heapUsed) / (many - few);
  assert.ok(bytes > 500, `${bytes} bytes: nothing was measured`);
  assert.ok(bytes <= budgetBytes, `${Math.round(bytes)} bytes a key`);
  assert.ok(large.young <= youngBytes, `the young generation has grown to ${large.young} bytes`);
});
