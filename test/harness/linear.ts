/**
 * Runs a stage on its worst input and on plain prose of the same size. The CPU time of the first is at most five times
 * that of the second: a stage that is super-linear or slow on some input would delay all callers.
 */
import assert from "node:assert/strict";
import { it } from "node:test";
import { cpuMsOf } from "./cpu-time.ts";

/** Makes an input of about this many bytes. */
export type Make = (size: number) => string;

export interface LinearStage {
  name: string;
  /** Everything that earlier stages do with an input. Returns what is measured. */
  prepare(input: string): () => void;
  worst: readonly (readonly [string, Make])[];
  /** The ordinary input of that size; prose by default. */
  plain?: Make;
  /** Those of the worst that run at 10 MB, too; the first by default. */
  large?: readonly (readonly [string, Make])[];
  sizes?: readonly number[];
}

const most = 5;
/** Minimum for the baseline, in nanoseconds per byte: plain prose can take almost no time. */
const yardstickNs = 60;
/** The same as a multiple of the time that finding the words of the text takes, for slow and busy machines. */
const yardstickWords = 3;

const sentence = "On 3 May we sent 12 boxes to the harbour; nobody had asked for them, and the rain began. ";
export const fill = (bait: string, size: number): string => bait.repeat(Math.ceil(size / bait.length)).slice(0, size);
export const prose: Make = (size) => fill(sentence, size);

/** As many entries, joined by commas, as make up the size. */
export function listOf(size: number, make: (index: number) => string): string {
  const entries: string[] = [];
  let length = 0;
  for (let index = 0; length < size; index++) {
    const entry = make(index);
    entries.push(entry);
    length += entry.length + 1;
  }
  return entries.join(",");
}

const words = prose(1e6);
const wordsMs = (): number => cpuMsOf(() => void Array.from(words.matchAll(/[A-Za-z]+|\d+/g)));

const yardstickMs = (size: number): number => (Math.max(yardstickNs, yardstickWords * wordsMs()) * size) / 1e6;

/**
 * What to say if the run takes too long each time. Each try has a baseline of its own, since the programs that run next
 * to this one slow the processor down.
 */
function complaint(run: () => void, baseline: () => number): string | null {
  let message: string | null = null;
  for (let tries = 0; tries < 4; tries++) {
    const [took, usual] = [cpuMsOf(run), baseline()];
    if (took <= most * usual) return null;
    message = `${took.toFixed(0)} ms, where prose takes ${usual.toFixed(0)} ms`;
  }
  return message;
}

export function itIsLinear({ name, prepare, worst, plain = prose, large, sizes = [1e6, 1e7] }: LinearStage): void {
  for (const size of sizes)
    it(`${name}, ${size / 1e6} MB`, () => {
      prepare(plain(size / 10))();
      const ordinary = prepare(plain(size));
      const usual = Math.min(cpuMsOf(ordinary), cpuMsOf(ordinary), cpuMsOf(ordinary));
      const baseline = (): number => Math.max(usual, yardstickMs(size));
      for (const [what, make] of size > 1e6 ? (large ?? worst.slice(0, 1)) : worst) {
        const message = complaint(prepare(make(size)), baseline);
        assert.ok(message === null, `${what}: ${message}`);
      }
    });
}
