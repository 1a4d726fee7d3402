import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { firstStatuses, type StatusWrite } from "../../operator/cluster/status-book.ts";
import { StatusWriter } from "../../operator/cluster/status-writer.ts";
import { newVerdict } from "../../operator/compile/outcome.ts";
import { previousConditions } from "../../operator/compile/status.ts";
import type { WorldObject } from "../../operator/compile/world.ts";

function write(namespace: string, name: string, text: string): StatusWrite {
  const meta = { name, namespace, uid: `${namespace}/${name}`, generation: 1, createdAtMs: 1, labels: {} };
  const object: WorldObject = { kind: "ApiKey", meta, spec: {}, status: {} };
  return { verdict: newVerdict("ApiKey", meta), object, status: { text } };
}

/** A writer whose writes end when the test says so. */
function stalled() {
  const begun: string[] = [];
  let finish: (() => void)[] = [];
  const writer = new StatusWriter(
    ({ verdict: { meta }, status }) => {
      begun.push(`${meta.namespace}/${meta.name} ${String(status["text"])}`);
      return new Promise((resolve) => finish.push(resolve));
    },
    () => undefined,
    () => undefined,
    Number.POSITIVE_INFINITY,
  );
  const finishAll = async (): Promise<void> => {
    while (finish.length > 0) {
      const ending = finish;
      finish = [];
      for (const end of ending) end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await writer.idle();
  };
  return { writer, begun, finishAll };
}

describe("statuses are written in the background", () => {
  it("each write is given the status that this process wrote before, though the watch hasn't returned it", async () => {
    const seen: unknown[] = [];
    const writer = new StatusWriter(
      async ({ object, status }) => void seen.push([object.status, status]),
      () => undefined,
      () => undefined,
      Number.POSITIVE_INFINITY,
    );
    for (const text of ["first", "second"]) {
      writer.offer([write("a", "one", text)]);
      await writer.idle();
    }
    assert.deepEqual(seen, [
      [{}, { text: "first" }],
      [{ text: "first" }, { text: "second" }],
    ]);
  });

  it("asks once for more when few are left, if there are more", async () => {
    for (const [hasMore, expected] of [
      [true, 1],
      [false, 0],
    ] as const) {
      const total = 1_000;
      let done = 0;
      const left: number[] = [];
      const writer = new StatusWriter(
        async () => void done++,
        () => undefined,
        () => left.push(total - done),
        Number.POSITIVE_INFINITY,
      );
      const due = Array.from({ length: total }, (_, index) => write("a", `k${index}`, "new"));
      writer.offer(due, hasMore);
      assert.equal(left.length, 0);
      await writer.idle();
      assert.equal(left.length, expected);
      for (const count of left) assert.ok(count > 0 && count <= 250, `${count} were left`);
    }
  });

  it("offering them waits for nothing, and namespaces take turns", async () => {
    const { writer, begun, finishAll } = stalled();
    const many = Array.from({ length: 100 }, (_, at) => write("b", `k${at}`, "x"));
    writer.offer([...many, write("a", "mine", "x")]);
    assert.equal(begun.length, 8);
    assert.ok(begun.includes("a/mine x"));
    await finishAll();
    assert.equal(begun.length, 101);
  });

  it("only the newest status of an object is written, one at a time, and one that is due no more isn't", async () => {
    const { writer, begun, finishAll } = stalled();
    const others = Array.from({ length: 8 }, (_, at) => write("b", `k${at}`, "x"));
    writer.offer(others);
    writer.offer([...others, write("a", "one", "first"), write("a", "gone", "x")]);
    writer.offer([...others, write("a", "one", "second")]);
    await finishAll();
    assert.deepEqual(
      begun.filter((one) => one.startsWith("a/")),
      ["a/one second"],
    );
    assert.equal(begun.length, 9);
  });

  it("a status that is added drops none that was offered", async () => {
    const { writer, begun, finishAll } = stalled();
    writer.offer(Array.from({ length: 9 }, (_, at) => write("b", `k${at}`, "x")));
    writer.add([write("a", "new", "first")]);
    await finishAll();
    assert.equal(begun.length, 10);
    assert.ok(begun.includes("a/new first"));
  });

  it("the first status of an object without one says that it is on its way", () => {
    const fresh = write("a", "fresh", "");
    const known = { ...write("a", "known", "").object, status: { conditions: [{ type: "Ready" }] } };
    const verdicts = [{ ...fresh.verdict, live: "current" as const }, newVerdict("ApiKey", known.meta)];
    const first = firstStatuses([fresh.object, known], verdicts, { revision: "r", live: 0, total: 2 }, 0);
    assert.deepEqual(
      first.map(({ object }) => object.meta.name),
      ["fresh"],
    );
    const summary = previousConditions(first[0]?.status).map(({ type, status }) => `${type}=${status}`);
    assert.ok(summary.includes("Ready=False") && summary.includes("Reconciling=True"), String(summary));
    const many = Array.from({ length: 1_000 }, (_, at) => write("a", `k${at}`, ""));
    const state = { revision: "r", live: 0, total: 2 };
    const objects = many.map(({ object }) => object);
    assert.deepEqual(
      firstStatuses(
        objects,
        many.map(({ verdict }) => verdict),
        state,
        0,
      ),
      [],
    );
  });

  it("a status that fails is offered again, and reported", async () => {
    const told: unknown[] = [];
    const again = new Promise<void>((resolve) => {
      const writer = new StatusWriter(
        () => Promise.reject(new Error("no")),
        (cause) => told.push(cause),
        resolve,
        Number.POSITIVE_INFINITY,
      );
      writer.offer([write("a", "one", "x")]);
    });
    await again;
    assert.equal(told.length, 1);
  });
});
