import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { cpuProfile } from "./profiles.ts";

const here = (path: string): string => pathToFileURL(path).href;
const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 0 });

describe("a profile by layer", () => {
  it("counts native code for who called it, and leaves idle time out", () => {
    const nodes = [
      { id: 1, callFrame: frame("(root)", ""), children: [2, 5, 9, 10] },
      { id: 2, callFrame: frame("receive", here("proxy/pipeline/receive.ts")), children: [3, 4] },
      { id: 3, callFrame: frame("parse", "") },
      { id: 4, callFrame: frame("dispatch", here("node_modules/undici/lib/client.js")), children: [6] },
      { id: 5, callFrame: frame("processTicks", "node:internal/process/task_queues"), children: [7] },
      { id: 6, callFrame: frame("onHeaders", "wasm://wasm/0001") },
      { id: 7, callFrame: frame("writev", "") },
      { id: 9, callFrame: frame("(garbage collector)", "") },
      { id: 10, callFrame: frame("(idle)", "") },
    ];
    const samples = [2, 3, 4, 5, 6, 7, 9, 10];
    const { byLayer, total } = cpuProfile(
      JSON.stringify({ nodes, startTime: 0, samples, timeDeltas: samples.map((id) => id) }),
    );
    assert.deepEqual(Object.fromEntries(byLayer), {
      Sluice: 5,
      undici: 10,
      "Node's own JavaScript, and what it calls": 5,
      "writing to sockets": 7,
      "collecting garbage": 9,
    });
    assert.equal(total, 36);
  });

  it("counts only the span, and each function with what it calls", () => {
    const nodes = [
      { id: 1, callFrame: frame("(root)", ""), children: [2] },
      { id: 2, callFrame: frame("serve", here("proxy/pipeline/serve.ts")), children: [3] },
      { id: 3, callFrame: frame("serve", here("proxy/pipeline/serve.ts")), children: [4] },
      { id: 4, callFrame: frame("parse", "") },
    ];
    const profile = { nodes, startTime: 100, samples: [2, 3, 4, 4, 2], timeDeltas: [10, 10, 10, 10, 10] };
    const { total, within } = cpuProfile(JSON.stringify(profile), { from: 120, to: 140 });
    assert.equal(total, 30);
    assert.deepEqual(Object.fromEntries(within), { "(root) :1": 30, "serve serve.ts:1": 30, "parse :1": 20 });
  });
});
