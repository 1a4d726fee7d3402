/** Input that arrives in one turn of the event loop is processed together. */
import assert from "node:assert/strict";
import { execPath } from "node:process";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterTick, atEndOfTick } from "../../proxy/wire/tick-batch.ts";
import { run } from "../harness/command.ts";

const noting = (into: string[], name: string) => ({ run: () => void into.push(name) });

/** Resolves when the given work is done and one turn without input has passed. */
async function quietTurn(): Promise<void> {
  await nextTurn();
  await nextTurn();
  atEndOfTick({ run: () => undefined });
  await nextTurn();
  await nextTurn();
}

describe("a turn of the event loop", () => {
  it("is processed in order of arrival, with writes last", async () => {
    await quietTurn();
    const done: string[] = [];
    afterTick(noting(done, "write"));
    atEndOfTick(noting(done, "first"));
    atEndOfTick(noting(done, "second"));
    atEndOfTick({
      run: () => {
        done.push("third");
        afterTick(noting(done, "another write"));
      },
    });
    assert.deepEqual(done, [], "nothing runs within the call");
    await nextTurn();
    assert.deepEqual(done, ["first", "second", "third", "write", "another write"]);
  });

  it("delays the first task only if the previous turn had several", async () => {
    await quietTurn();
    const done: string[] = [];
    setImmediate(() => done.push("end of a quiet turn"));
    atEndOfTick(noting(done, "alone"));
    await nextTurn();
    atEndOfTick(noting(done, "one"));
    atEndOfTick(noting(done, "two"));
    await nextTurn();
    setImmediate(() => done.push("end of a busy turn"));
    atEndOfTick(noting(done, "held"));
    await nextTurn();
    assert.deepEqual(done, ["alone", "end of a quiet turn", "one", "two", "end of a busy turn", "held"]);
  });

  it("continues after a task that throws an uncaught error", async () => {
    const script = `
      import { afterTick, atEndOfTick } from "./proxy/wire/tick-batch.ts";
      process.on("uncaughtException", (error) => console.log("uncaught " + error.message));
      const failing = { run: () => { throw new Error("told") } };
      atEndOfTick(failing);
      atEndOfTick(failing);
      atEndOfTick({ run: () => console.log("the next") });
      afterTick(failing);
      afterTick({ run: () => console.log("its write") });`;
    const { stdout, stderr } = await run(execPath, ["--input-type=module", "-e", script]);
    assert.deepEqual(
      stdout.trim().split("\n").sort(),
      ["its write", "the next", "uncaught told", "uncaught told", "uncaught told"],
      stderr,
    );
  });
});
