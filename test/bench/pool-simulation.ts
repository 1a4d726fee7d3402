/**
 * What the choice of a server does to a pool's prompt caches and to the time to the first token: conversations on
 * simulated servers, in virtual time, with the proxy's own `choosePod`. Run it to print the table of docs/routing.md:
 *
 *   node_modules/.bin/node test/bench/pool-simulation.ts
 *
 * A server computes one prompt after another at a fixed rate, without the part that it has in its cache, and generates
 * answers in parallel, as servers with continuous batching do. Its cache forgets what was used least recently.
 */
import { choosePod } from "../../proxy/routing/pod-choice.ts";

export type Choice = "RoundRobin" | "LeastLoad" | "Prefix";

export interface Scene {
  servers: number;
  /** Prompt tokens per second that a server computes. */
  prefillRate: number;
  /** Tokens per second of one answer. */
  decodeRate: number;
  /** Tokens that fit into a server's cache. */
  cacheTokens: number;
  /** Applications, each with a system prompt of its own. */
  applications: number;
  systemTokens: number;
  questionTokens: number;
  answerTokens: number;
  /** Conversations that begin in a second. */
  arrivals: number;
  turns: number;
  /** Seconds between an answer and the next question. */
  thinkSeconds: number;
  conversations: number;
}

/** Assumed figures, of the order of a model with 70 billion parameters on current hardware. */
export const usualScene: Scene = {
  servers: 8,
  prefillRate: 6_000,
  decodeRate: 40,
  cacheTokens: 250_000,
  applications: 12,
  systemTokens: 1_500,
  questionTokens: 250,
  answerTokens: 350,
  arrivals: 2.2,
  turns: 8,
  thinkSeconds: 20,
  conversations: 2_000,
};

export interface Outcome {
  /** Share of prompt tokens that were in a cache. */
  hitRatio: number;
  /** Seconds. */
  firstTokenMedian: number;
  firstTokenP95: number;
}

/** Mulberry32: the same draws in every run. */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Keys in the order of their last use, each with the tokens that it holds. */
class PromptCache {
  readonly #capacity: number;
  readonly #entries = new Map<string, number>();
  #held = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(key: string): number {
    return this.#entries.get(key) ?? 0;
  }

  use(key: string, tokens: number): void {
    this.#held += tokens - this.has(key);
    this.#entries.delete(key);
    this.#entries.set(key, tokens);
    for (const [oldest, size] of this.#entries) {
      if (this.#held <= this.#capacity) return;
      this.#entries.delete(oldest);
      this.#held -= size;
    }
  }
}

class Server {
  readonly cache: PromptCache;
  inFlight = 0;
  #freeAt = 0;

  constructor(cacheTokens: number) {
    this.cache = new PromptCache(cacheTokens);
  }

  /** When the first token is there. */
  compute(tokens: number, rate: number, now: number): number {
    this.#freeAt = Math.max(now, this.#freeAt) + tokens / rate;
    return this.#freeAt;
  }
}

interface Event {
  at: number;
  run(now: number): void;
}

/** Events in the order of their time: a binary heap. */
class Timeline {
  readonly #heap: Event[] = [];

  add(event: Event): void {
    this.#heap.push(event);
    for (let index = this.#heap.length - 1; index > 0; ) {
      const parent = (index - 1) >> 1;
      if ((this.#heap[parent] as Event).at <= event.at) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  next(): Event | undefined {
    const [first] = this.#heap;
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#heap[0] = last;
    for (let index = 0; ; ) {
      const children = [2 * index + 1, 2 * index + 2].filter((child) => child < this.#heap.length);
      const sooner = children.sort((a, b) => (this.#heap[a] as Event).at - (this.#heap[b] as Event).at)[0];
      if (sooner === undefined || (this.#heap[sooner] as Event).at >= last.at) return first;
      this.#swap(index, sooner);
      index = sooner;
    }
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b] as Event, this.#heap[a] as Event];
  }
}

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;

/**
 * A class, as closures over `choice` were once compiled with the value of an earlier run: Node 24.21 on a busy machine
 * took RoundRobin for Prefix in about one process of fifteen.
 */
class Simulation {
  readonly #choice: Choice;
  readonly #scene: Scene;
  readonly #random: () => number;
  readonly #timeline = new Timeline();
  readonly #servers: readonly Server[];
  readonly #waits: number[] = [];
  #prompted = 0;
  #cached = 0;
  #turn = 0;

  constructor(choice: Choice, scene: Scene, seed: number) {
    this.#choice = choice;
    this.#scene = scene;
    this.#random = draws(seed);
    this.#servers = Array.from({ length: scene.servers }, () => new Server(scene.cacheTokens));
  }

  run(): Outcome {
    const { conversations, arrivals, applications } = this.#scene;
    let at = 0;
    for (let conversation = 0; conversation < conversations; conversation++) {
      at += -Math.log(1 - this.#random()) / arrivals;
      const application = Math.floor(this.#random() ** 2 * applications);
      this.#timeline.add({ at, run: (now) => this.#ask(conversation, application, 0, now) });
    }
    for (let event = this.#timeline.next(); event !== undefined; event = this.#timeline.next()) event.run(event.at);
    this.#waits.sort((a, b) => a - b);
    return {
      hitRatio: this.#cached / this.#prompted,
      firstTokenMedian: quantile(this.#waits, 0.5),
      firstTokenP95: quantile(this.#waits, 0.95),
    };
  }

  #pick(affinity: string): Server {
    const turn = ++this.#turn;
    const servers = this.#servers;
    const strategy = this.#choice;
    if (strategy === "RoundRobin") return servers[turn % servers.length] as Server;
    const loads = servers.map(({ inFlight }, index) => ({ name: `10.0.0.${index}:8000`, inFlight, spared: false }));
    return servers[choosePod(loads, { strategy, mostInFlight: null, affinity, turn })] as Server;
  }

  #ask(conversation: number, application: number, asked: number, now: number): void {
    const { systemTokens, questionTokens, answerTokens, prefillRate, decodeRate, turns, thinkSeconds } = this.#scene;
    const [system, own] = [`application ${application}`, `conversation ${conversation}`];
    const history = asked * (questionTokens + answerTokens);
    const prompt = systemTokens + history + questionTokens;
    const server = this.#pick(`${system}, ${own}`);
    const hit = Math.min(prompt - 1, Math.min(systemTokens, server.cache.has(system)) + server.cache.has(own));
    this.#prompted += prompt;
    this.#cached += hit;
    server.inFlight++;
    const firstAt = server.compute(prompt - hit, prefillRate, now);
    this.#waits.push(firstAt - now);
    server.cache.use(system, systemTokens);
    server.cache.use(own, history + questionTokens + answerTokens);
    const done = firstAt + answerTokens / decodeRate;
    this.#timeline.add({ at: done, run: () => void server.inFlight-- });
    if (asked + 1 < turns)
      this.#timeline.add({
        at: done + thinkSeconds * (0.5 + this.#random()),
        run: (later) => this.#ask(conversation, application, asked + 1, later),
      });
  }
}

export const simulate = (choice: Choice, scene: Scene, seed = 1): Outcome => new Simulation(choice, scene, seed).run();

if (import.meta.main) {
  const rows = (["RoundRobin", "LeastLoad", "Prefix"] as const).map((choice) => {
    const { hitRatio, firstTokenMedian, firstTokenP95 } = simulate(choice, usualScene);
    const ms = (seconds: number): string => `${Math.round(seconds * 1_000)} ms`;
    return `| ${choice} | ${Math.round(hitRatio * 100)} % | ${ms(firstTokenMedian)} | ${ms(firstTokenP95)} |`;
  });
  process.stdout.write(
    [
      "| choice | prompt tokens in a cache | median time to first token | p95 |",
      "| --- | --- | --- | --- |",
      ...rows,
      "",
    ].join("\n"),
  );
}
