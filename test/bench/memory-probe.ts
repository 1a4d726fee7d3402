/**
 * Preloaded into a measured process (`node --import`): on SIGUSR2 it prints how much memory it has allocated. Started
 * with `noCollection`, so that between two signals nothing is collected and the difference is all that was allocated.
 */
import { PerformanceObserver } from "node:perf_hooks";

let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ["gc"] });

process.on("SIGUSR2", () => {
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  // Collections are reported a little later.
  setImmediate(() => process.stdout.write(`memory ${JSON.stringify({ heapUsed, arrayBuffers, rss, collections })}\n`));
});
