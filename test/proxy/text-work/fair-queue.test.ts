/** Namespaces take turns, and the number of waiting jobs of each is limited. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FairQueue } from "../../../proxy/text-work/fair-queue.ts";

const anyone = (): boolean => true;

function drained(queue: FairQueue<string>, mayRun: (namespace: string) => boolean = anyone): string[] {
  const taken: string[] = [];
  for (let job = queue.take(mayRun); job !== undefined; job = queue.take(mayRun)) taken.push(job);
  return taken;
}

describe("the queue of text work", () => {
  it("serves namespaces in turns, and each namespace's jobs in their order", () => {
    const queue = new FairQueue<string>(10);
    for (const job of ["a1", "a2", "a3", "b1", "c1", "c2"]) queue.add(job.slice(0, 1), job);
    assert.deepEqual(drained(queue), ["a1", "b1", "c1", "a2", "c2", "a3"]);
    assert.equal(queue.size, 0);
  });
  it("limits the waiting jobs of a namespace, whatever the others have", () => {
    const queue = new FairQueue<string>(2);
    for (const job of ["a1", "a2"]) queue.add("a", job);
    assert.equal(queue.hasRoom("a"), false);
    assert.equal(queue.hasRoom("b"), true);
    queue.take(anyone);
    assert.equal(queue.hasRoom("a"), true);
  });
  it("passes over a namespace that may not run now", () => {
    const queue = new FairQueue<string>(2);
    for (const job of ["a1", "b1", "a2"]) queue.add(job.slice(0, 1), job);
    assert.deepEqual(
      drained(queue, (namespace) => namespace !== "a"),
      ["b1"],
    );
    assert.deepEqual(drained(queue), ["a1", "a2"]);
  });
  it("forgets a job that nobody waits for", () => {
    const queue = new FairQueue<string>(1);
    queue.add("a", "a1");
    assert.equal(queue.remove("a", "a1"), true);
    assert.equal(queue.remove("a", "a1"), false);
    assert.equal(queue.hasRoom("a"), true);
    assert.deepEqual(drained(queue), []);
  });
});
