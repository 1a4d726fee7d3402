/** Behaviour within one attempt, in virtual time. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Attempt } from "../../proxy/pipeline/attempt.ts";
import type { AttemptResult } from "../../proxy/pipeline/attempt-result.ts";
import type { Prepared } from "../../proxy/pipeline/prepared.ts";
import type { StreamReader, StreamStep } from "../../proxy/pipeline/reader.ts";
import type { ClientConnection } from "../../proxy/wire/client.ts";
import { Deadlines } from "../../proxy/wire/deadlines.ts";
import type { UpstreamRequest } from "../../proxy/wire/upstream.ts";
import type { UpstreamAddress } from "../../proxy/wire/upstream-address.ts";
import { HandClock } from "../harness/hand-clock.ts";

/** Accepts nothing until it drains. */
class SlowClient {
  destroyed = false;
  readonly waiting: (() => void)[] = [];

  onClose(): void {}
  onInterrupt(): void {}
  write(): boolean {
    return false;
  }
  onDrain(listener: () => void): void {
    this.waiting.push(listener);
  }
  destroy(): void {
    this.destroyed = true;
  }
  drain(): void {
    for (const listener of this.waiting.splice(0)) listener();
  }
}

/** Passes complete lines on, and holds an incomplete line. */
const lines = (): StreamReader => {
  let held = "";
  const step = (out: string): StreamStep => ({ out, ended: false, error: null });
  return {
    push(bytes) {
      held += bytes.toString();
      const end = held.lastIndexOf("\n") + 1;
      const out = held.slice(0, end);
      held = held.slice(end);
      return step(out);
    },
    close: () => step(""),
    usage: () => null,
    usageIsFinal: () => false,
    awaitsUsage: () => false,
    contentLength: () => 0,
  };
};

const limits = {
  firstByteMs: 1_000,
  idleMs: 30_000,
  totalMs: 600_000,
  stalledClientMs: 200,
  maxReplyBytes: 1_000_000,
  maxStreamBytes: 1_000_000,
};

function streaming() {
  const clock = new HandClock();
  const client = new SlowClient();
  const attempt = new Attempt(
    client as unknown as ClientConnection,
    { reader: lines } as unknown as Prepared,
    limits,
    () => undefined,
    new Deadlines(clock),
  );
  let resumed = 0;
  const call = { abort: () => undefined, resume: () => void resumed++, sent: true };
  const result = new Promise<AttemptResult>((resolve) => attempt.onEnd({ attemptEnded: resolve }));
  attempt.begin({ send: () => call }, {} as UpstreamAddress, {} as UpstreamRequest);
  attempt.head(200, { "content-type": "text/event-stream" });
  return {
    clock,
    client,
    push: (text: string): boolean => attempt.data(Buffer.from(text)),
    resumed: () => resumed,
    ended: () => Promise.race([result, nextTurn(null)]),
  };
}

describe("a client that stops reading", () => {
  for (const [what, behind] of [
    ["nothing", []],
    ["half a frame", ["half"]],
    ["a whole frame", ["whole\n"]],
    ["both", ["half", "whole\n", "half"]],
  ] as const)
    it(`is cut off when its own limit expires, even if ${what} arrived later`, async () => {
      const { clock, client, push, ended } = streaming();
      assert.equal(push("data\n"), false, "no more is read");
      clock.advance(100);
      for (const text of behind) assert.equal(push(text), false, "nor now");
      clock.advance(99);
      assert.equal(client.destroyed, false);
      clock.advance(1);
      assert.equal(client.destroyed, true);
      const result = await ended();
      assert.deepEqual([result?.kind, result?.kind === "abandoned" && result.stalled], ["abandoned", true]);
    });

  it("continues once it drains, and resumes exactly once", async () => {
    const { clock, client, push, resumed, ended } = streaming();
    push("data\n");
    push("more\n");
    client.drain();
    assert.equal(resumed(), 1);
    clock.advance(limits.idleMs - 1);
    assert.deepEqual([client.destroyed, await ended()], [false, null]);
  });
});
