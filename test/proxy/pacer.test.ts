/** Chunks of a stream that follow each other quickly are passed on together; the first, a slow one and the end at once. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type UpstreamCall, Upstreams } from "../../proxy/wire/upstream.ts";
import { until } from "../harness/until.ts";

const hourMs = 3_600_000;

/** A stream of an upstream, and what its handler got: a text for each call. */
async function stream(context: TestContext, pauseMs: number, gathers = true, http1: "Own" | "Node" = "Own") {
  const server = createServer();
  const upstreams = new Upstreams(http1, undefined, pauseMs);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    upstreams.close();
    server.closeAllConnections();
    server.close();
  });
  const got: string[] = [];
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const call: UpstreamCall = upstreams.send(
    { origin, allowPrivate: true, connectMs: 60_000, writeMs: 60_000 },
    { method: "GET", path: "/", headers: {}, body: null },
    {
      gathers,
      head: () => undefined,
      data: (chunk) => got.push(chunk.toString()) > 0,
      end: () => void got.push("end"),
      error: (kind) => void got.push(kind),
    },
  );
  const [, response] = (await once(server, "request")) as [unknown, ServerResponse];
  response.flushHeaders();
  const gets = (what: string, last: string) => until(what, () => assert.equal(got.at(-1), last), 60_000, 1);
  /** Sends a chunk, and waits until it must have arrived. */
  const send = async (text: string): Promise<void> => {
    await new Promise((resolve) => response.write(text, resolve));
    for (let turn = 0; turn < 20; turn++) await nextTurn();
  };
  return { call, response, got, gets, send };
}

describe("the data of a stream", () => {
  for (const http1 of ["Own", "Node"] as const)
    it(`is gathered within the pause, and passed on before the end: ${http1}`, async (context) => {
      const { response, got, gets, send } = await stream(context, hourMs, true, http1);
      await send("first");
      await gets("the first chunk", "first");
      await send("second");
      await send("third");
      assert.deepEqual(got, ["first"]);
      response.end("last");
      await gets("the end", "end");
      assert.equal(got.join(""), "firstsecondthirdlastend");
      assert.equal(got.length, 3, "all that was gathered comes in one piece");
    });

  it("is passed on when the pause is over", async (context) => {
    const { got, gets, send } = await stream(context, 2);
    for (const text of ["first", "second", "third"]) {
      await send(text);
      await gets(text, text);
    }
    assert.deepEqual(got, ["first", "second", "third"]);
  });

  it("is passed on when much of it has been gathered", async (context) => {
    const { got, gets, send } = await stream(context, hourMs);
    await send("first");
    await gets("the first chunk", "first");
    await send("x".repeat(200_000));
    await until("most of it", () => assert.ok(got.join("").length > 100_000), 60_000, 1);
  });

  it("is passed on before an error", async (context) => {
    const { response, got, gets, send } = await stream(context, hourMs);
    await send("first");
    await gets("the first chunk", "first");
    await send("second");
    response.destroy();
    await gets("the error", "reset");
    assert.deepEqual(got, ["first", "second", "reset"]);
  });

  it("is dropped for a call that was aborted", async (context) => {
    const { call, got, gets, send } = await stream(context, 2);
    await send("first");
    await gets("the first chunk", "first");
    await send("second");
    const before = got.length;
    call.abort();
    await send("third");
    assert.equal(got.length, before);
  });

  for (const [what, pauseMs, gathers] of [
    ["without a pause", 0, true],
    ["before the answer has begun", hourMs, false],
  ] as const)
    it(`is passed on at once ${what}`, async (context) => {
      const { gets, send } = await stream(context, pauseMs, gathers);
      for (const text of ["first", "second", "third"]) {
        await send(text);
        await gets(text, text);
      }
    });
});
