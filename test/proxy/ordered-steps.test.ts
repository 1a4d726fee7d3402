/** What is written after a part of a stream that takes a moment waits for it, in order. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { ClientConnection } from "../../proxy/wire/client.ts";
import type { ClientExchange } from "../../proxy/wire/client-exchange.ts";
import { OrderedSteps } from "../../proxy/wire/ordered-steps.ts";
import type { Filtered, ReplyFilter } from "../../proxy/wire/reply-filter.ts";
import { until } from "../harness/until.ts";

/** A client, what it was sent, and the parts that its filter still has. */
function connection() {
  const sent: string[] = [];
  const exchange = {
    headSent: true,
    ended: false,
    onGone: () => undefined,
    onDrain: (listener: () => void) => listener(),
    write: (bytes: Buffer) => sent.push(bytes.toString()) > 0,
    end: () => sent.push("end"),
    destroy: () => sent.push("destroyed"),
  };
  const client = new ClientConnection(exchange as unknown as ClientExchange, "id");
  const waiting: { resolve(text: string): void; reject(cause: Error): void }[] = [];
  const filter: ReplyFilter = {
    whole: (body) => body,
    chunk(bytes): Filtered {
      const text = bytes.toString();
      if (!text.startsWith("slow")) return text;
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    last: () => "rest",
  };
  client.filter(filter);
  return { client, sent, waiting };
}

describe("a part of a stream that takes a moment", () => {
  it("is sent before everything that was written after it", async () => {
    const { client, sent, waiting } = connection();
    const order: string[] = [];
    assert.equal(client.write(Buffer.from("first")), true);
    assert.equal(client.write(Buffer.from("slow 1")), false);
    assert.equal(client.busy, true);
    client.onDrain(() => {
      order.push("drained");
      // As a provider that is read on: it comes after what is written already.
      client.write(Buffer.from("fast 3"));
    });
    client.writeRaw(": comment");
    client.write(Buffer.from("slow 2"));
    client.inTurn(() => order.push("recorded"));
    client.finish();
    assert.deepEqual(sent, ["first"]);
    waiting[0]?.resolve("SLOW 1");
    await until("the second part is asked for", () => assert.equal(waiting.length, 2), 60_000, 1);
    assert.deepEqual(sent, ["first", "SLOW 1", ": comment"]);
    assert.deepEqual(order, ["drained"]);
    waiting[1]?.resolve("SLOW 2");
    await until("the end", () => assert.equal(client.busy, false), 60_000, 1);
    assert.deepEqual(sent.slice(3), ["SLOW 2", "rest", "end", "fast 3"]);
    assert.deepEqual(order, ["drained", "recorded"]);
  });

  it("ends the connection if it can't be filtered", async () => {
    const { client, sent, waiting } = connection();
    client.write(Buffer.from("slow"));
    client.write(Buffer.from("never sent"));
    let recorded = false;
    client.inTurn(() => {
      recorded = true;
    });
    waiting[0]?.reject(new Error("no"));
    await until("what follows", () => assert.ok(recorded), 60_000, 1);
    assert.deepEqual(sent, ["destroyed"]);
    assert.equal(client.closed, true);
  });
});

describe("ordered steps", () => {
  it("go on after one that throws", async () => {
    const order: string[] = [];
    const steps = new OrderedSteps(() => order.push("failed"));
    let resolve: (value: number) => void = () => undefined;
    steps.add(() => steps.wait(new Promise<number>((done) => (resolve = done)), (value) => order.push(`${value}`)));
    steps.add(() => {
      throw new Error("broken");
    });
    steps.add(() => order.push("next"));
    resolve(1);
    await until("all are taken", () => assert.equal(steps.busy, false), 60_000, 1);
    assert.deepEqual(order, ["1", "failed", "next"]);
  });
});
