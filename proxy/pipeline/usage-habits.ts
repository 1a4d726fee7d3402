/**
 * What calls of a model usually use, learned from what providers report. It makes estimates of what no provider
 * reported: of broken answers, and of how long an answer will be. A provider's own tokenizer and a model's hidden
 * reasoning show in it.
 */
import type { Usage } from "../dialects/canonical.ts";

interface Learned {
  readonly samples: number;
  readonly cautious: number | null;
}

/** A mean that moves with the last samples, and how far they lie from it. */
class Moving implements Learned {
  #mean = 0;
  #deviation = 0;
  #samples = 0;

  add(value: number): void {
    this.#samples = Math.min(this.#samples + 1, mostSamples);
    const share = 1 / this.#samples;
    const distance = value - this.#mean;
    this.#mean += distance * share;
    this.#deviation += ((this.#samples === 1 ? 0 : Math.abs(distance)) - this.#deviation) * share;
  }

  get samples(): number {
    return this.#samples;
  }

  get mean(): number {
    return this.#mean;
  }

  /** A little above the mean, so that many estimates together are not below what they stand for; null before the first sample. */
  get cautious(): number | null {
    return this.#samples === 0 ? null : this.#mean + this.#deviation / 4;
  }
}

/** What the provider reports, to what the gateway counts. */
class Ratio implements Learned {
  readonly #reported = new Moving();
  readonly #counted = new Moving();

  add(reported: number, counted: number): void {
    this.#reported.add(reported);
    this.#counted.add(counted);
  }

  get samples(): number {
    return this.#reported.samples;
  }

  /** null until enough is known: a few short prompts say little of a long one. */
  get cautious(): number | null {
    return this.samples < enoughSamples || this.#counted.mean === 0 ? null : this.#reported.mean / this.#counted.mean;
  }
}

const mostSamples = 64;
const enoughSamples = 16;
/** Prompts of a model that are compared with the gateway's own count: the first ones, and then one in so many. */
const firstPrompts = 16;
const promptsEvery = 32;
/** Models that are remembered; beyond that the oldest is forgotten. */
const mostModels = 2_000;

export class ModelHabits {
  /** Of the same model wherever it is asked: while little has been seen here. */
  readonly #elsewhere: ModelHabits | null;
  readonly #prompt = new Ratio();
  readonly #output = new Ratio();
  readonly #reasoning = new Moving();
  readonly #completion = new Moving();
  #calls = 0;

  constructor(elsewhere: ModelHabits | null = null) {
    this.#elsewhere = elsewhere;
  }

  #learned(measure: (habits: ModelHabits) => Learned): number | null {
    const own = measure(this);
    if (own.samples >= enoughSamples || this.#elsewhere === null) return own.cautious;
    return measure(this.#elsewhere).cautious ?? own.cautious;
  }

  /** Of a whole answer, as the provider reported it. `contentLength`: characters of a stream's content, 0 where unknown. */
  note(usage: Usage, contentLength: number, countedPrompt: () => number): void {
    this.#elsewhere?.note(usage, contentLength, countedPrompt);
    const { prompt, completion, reasoning } = usage;
    this.#calls++;
    this.#completion.add(completion);
    if (contentLength > 0) {
      this.#output.add(Math.max(0, completion - reasoning), contentLength);
      this.#reasoning.add(reasoning);
    }
    if (this.#calls > firstPrompts && this.#calls % promptsEvery !== 0) return;
    this.#prompt.add(prompt, countedPrompt());
  }

  /** `counted`: tokens by the gateway's own count. */
  prompt(counted: number): number {
    return Math.ceil(counted * (this.#learned((habits) => habits.#prompt) ?? 1));
  }

  /** Tokens of so many characters, and of the reasoning that came before them unseen. */
  received(contentLength: number): number {
    const reasoning = this.#learned((habits) => habits.#reasoning) ?? 0;
    const ratio = this.#learned((habits) => habits.#output) ?? 1 / charactersPerToken;
    return Math.ceil(contentLength * ratio + reasoning);
  }

  /** Tokens of an answer that has not come; null where none has been seen yet. */
  get expectedOutput(): number | null {
    const expected = this.#learned((habits) => habits.#completion);
    return expected === null ? null : Math.ceil(expected);
  }
}

const charactersPerToken = 4;

export class UsageHabits {
  readonly #habits = new Map<string, ModelHabits>();

  /** Of a provider's model. `provider`: "" for those of the model wherever it is asked. */
  of(provider: string, model: string): ModelHabits {
    const key = `${provider}\n${model}`;
    let habits = this.#habits.get(key);
    if (habits !== undefined) return habits;
    if (this.#habits.size >= mostModels) this.#habits.delete(this.#habits.keys().next().value ?? "");
    this.#habits.set(key, (habits = new ModelHabits(provider === "" ? null : this.of("", model))));
    return habits;
  }
}
