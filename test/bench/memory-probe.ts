/**
 * Preloaded into a measured process (`node --import`): on SIGUSR2 it prints how much memory it has allocated and how much
 * CPU time it has used. The process is started with a young generation so large that between two signals nothing is
 * collected, so the difference is all that was allocated.
 */
import { PerformanceObserver } from "node:perf_hooks";

let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ["gc"] });

process.on("SIGUSR2", () => {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const used = { heapUsed, arrayBuffers, cpuUs: user + system };
  // Collections are reported a little later.
  setImmediate(() => process.stdout.write(`memory ${JSON.stringify({ ...used, collections })}\n`));
});
