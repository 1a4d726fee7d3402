/** The gateway's own small requests to URLs that can't be called. */
import assert from "node:assert/strict";
import { it, mock } from "node:test";
import { boundedCall } from "../../proxy/wire/bounded-call.ts";
import { Upstreams } from "../../proxy/wire/upstream.ts";

it("a URL that can't be called fails immediately, and its time limit does nothing later", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const upstreams = new Upstreams();
  try {
    await assert.rejects(
      boundedCall(upstreams, "ftp://keys.example.com/jwks", { method: "GET", headers: {}, body: null }, true),
      /protocol/,
    );
    // Nothing would catch an error thrown here, and the process would end.
    mock.timers.tick(15_000);
    await new Promise(setImmediate);
  } finally {
    mock.timers.reset();
    await upstreams.close();
  }
});
