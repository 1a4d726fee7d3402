/** What dispatch releases when an unexpected error occurs. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { dispatch } from "../../proxy/pipeline/dispatch.ts";
import type { Dispatcher, DispatchRequest } from "../../proxy/pipeline/dispatch-request.ts";
import type { Permit } from "../../proxy/routing/routing.ts";

it("an internal error releases its permit, so that other calls may try the target", async () => {
  const fault = new TypeError("of ours");
  const ends: string[] = [];
  const permit: Permit = {
    seat: null,
    succeeded: () => ends.push("succeeded"),
    failed: () => ends.push("failed") > 0,
    released: () => ends.push("released"),
  };
  const provider = {
    passthroughPath() {
      throw fault;
    },
  };
  const shaped: object = {
    received: { stream: false },
    mustTranslate: false,
    compaction: null,
    forTarget: () => shaped,
  };
  const request = {
    client: { requestId: "r-1" },
    shaped,
    targets: [{ entry: { provider, account: {} } }],
    deadlineMs: 1_000,
  } as unknown as DispatchRequest;
  const dispatcher = {
    nowMs: () => 0,
    deadlines: { nowMs: () => 0 },
    routing: { acquire: () => permit },
  } as unknown as Dispatcher;
  await assert.rejects(dispatch(request, dispatcher), fault);
  assert.deepEqual(ends, ["released"]);
});
