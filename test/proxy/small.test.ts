/** Small calls of the gateway's own, where they can't even begin. */
import assert from "node:assert/strict";
import { it, mock } from "node:test";
import { boundedCall } from "../../proxy/wire/bounded-call.ts";
import { Upstreams } from "../../proxy/wire/upstream.ts";

it("A URL that can't be called fails at once, and nothing of it is left for the time limit to trip over", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const upstreams = new Upstreams();
  try {
    await assert.rejects(
      boundedCall(upstreams, "ftp://keys.example.com/jwks", { method: "GET", headers: {}, body: null }, true),
      /protocol/,
    );
    // What it threw here nobody would catch: the process would end.
    mock.timers.tick(15_000);
    await new Promise(setImmediate);
  } finally {
    mock.timers.reset();
    await upstreams.close();
  }
});
