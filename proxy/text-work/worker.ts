/** A worker thread: takes one job at a time from the pool, and answers each. */
import { parentPort } from "node:worker_threads";
import { type TextJob, work } from "./job.ts";

parentPort?.on("message", (job: TextJob) => {
  parentPort?.postMessage(work(job));
});
