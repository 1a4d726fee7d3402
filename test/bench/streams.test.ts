import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runStreams } from "./streams.ts";

describe("concurrent streams with a provider that dies in the middle", () => {
  it("none hangs or is cut, and what they held is given back", async () => {
    const { complete, broken, refused, cut, hung, most, before, after, again } = await runStreams({
      streams: 150,
      seconds: 4,
      streamSeconds: 2,
    });
    assert.deepEqual({ refused, cut, hung }, { refused: 0, cut: 0, hung: 0 });
    assert.ok(complete > 0 && broken > 0 && most > 20, `${complete} complete, ${broken} broken, ${most} at once`);
    for (const memory of [after, again]) {
      assert.ok(
        memory.heapBytes < before.heapBytes + 8_388_608,
        `heap: ${before.heapBytes} before, ${memory.heapBytes} after`,
      );
      assert.ok(
        memory.openFiles <= before.openFiles + 20,
        `open files: ${before.openFiles} before, ${memory.openFiles} after`,
      );
    }
  });
});
