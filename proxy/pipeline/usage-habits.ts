/**
 * Learns what calls of a model usually use from the usage that providers report. It estimates usage that was not
 * reported, as for broken answers, and how long an answer will be. The estimates reflect a provider's tokenizer and a
 * model's hidden reasoning.
 */
import type { Usage } from "../dialects/canonical.ts";

interface Learned {
  readonly samples: number;
  readonly cautious: number | null;
}

/** A moving mean of recent samples, and their deviation from it. */
class Moving implements Learned {
  #mean = 0;
  #deviation = 0;
  #samples = 0;

  add(value: number): void {
    this.#samples = Math.min(this.#samples + 1, maxSamples);
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

  /** Slightly above the mean, so that the sum of many estimates is not too low; null before the first sample. */
  get cautious(): number | null {
    return this.#samples === 0 ? null : this.#mean + this.#deviation / 4;
  }
}

/** The ratio of the provider's reported tokens to the gateway's count. */
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

  /** null until enough is known: a few short prompts say little about a long one. */
  get cautious(): number | null {
    return this.samples < enoughSamples || this.#counted.mean === 0 ? null : this.#reported.mean / this.#counted.mean;
  }
}

const maxSamples = 64;
const enoughSamples = 16;
/**
 * Which of a model's prompts are compared with the gateway's own count: this many at first, then one in `promptsEvery`.
 */
const firstPrompts = 16;
const promptsEvery = 32;
/** Most models that are remembered; beyond that the oldest is dropped. */
const mostModels = 2_000;

export class ModelHabits {
  /** Habits of the same model at any provider, used until enough was seen at this one. */
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

  /** Learns from a whole answer's reported usage. `contentLength`: characters of a stream's content, 0 if unknown. */
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

  /** `counted`: tokens counted by the gateway. */
  prompt(counted: number): number {
    return Math.ceil(counted * (this.#learned((habits) => habits.#prompt) ?? 1));
  }

  /** Tokens of this many characters, including the hidden reasoning before them. */
  received(contentLength: number): number {
    const reasoning = this.#learned((habits) => habits.#reasoning) ?? 0;
    const ratio = this.#learned((habits) => habits.#output) ?? 1 / charactersPerToken;
    return Math.ceil(contentLength * ratio + reasoning);
  }

  /** Tokens of an answer that has not arrived; null if no answer has been seen yet. */
  get expectedOutput(): number | null {
    const expected = this.#learned((habits) => habits.#completion);
    return expected === null ? null : Math.ceil(expected);
  }
}

const charactersPerToken = 4;

export class UsageHabits {
  /** By model, then by provider. */
  readonly #habits = new Map<string, Map<string, ModelHabits>>();

  /** Habits of a provider's model. `provider`: "" for the model at any provider. */
  of(provider: string, model: string): ModelHabits {
    return this.#habits.get(model)?.get(provider) ?? this.#made(provider, model);
  }

  #made(provider: string, model: string): ModelHabits {
    let ofModel = this.#habits.get(model);
    if (ofModel === undefined) {
      if (this.#habits.size >= mostModels) this.#habits.delete(this.#habits.keys().next().value ?? "");
      this.#habits.set(model, (ofModel = new Map()));
    }
    const habits = new ModelHabits(provider === "" ? null : this.of("", model));
    ofModel.set(provider, habits);
    return habits;
  }
}
