import assert from "node:assert/strict";
import { it } from "node:test";
import { allocationOf } from "./allocation.ts";

/** Bytes on V8's heap and in buffers for a call of 1 KB with everything on. Lower it when the code allows. */
const budgetBytes = 25_500;

it("a call allocates no more than its budget", { timeout: 300_000 }, async () => {
  let measured = await allocationOf("sluice");
  // What the garbage collector leaves uncounted differs by a few hundred bytes from run to run.
  for (let tries = 1; tries < 3 && measured.heapBytes + measured.bufferBytes > budgetBytes; tries++)
    measured = await allocationOf("sluice");
  const { heapBytes, bufferBytes } = measured;
  assert.ok(heapBytes > 1_000, `${heapBytes} bytes: nothing was measured`);
  assert.ok(heapBytes + bufferBytes <= budgetBytes, `${heapBytes} bytes on the heap and ${bufferBytes} in buffers`);
});
