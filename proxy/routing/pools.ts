/** Calls under way at the servers of pools. Outlives snapshots, so that counts survive a change of pods. */
import type { PoolConfig } from "../config/pool.ts";
import type { PodEntry, ProviderEntry } from "../snapshot/snapshot.ts";
import { choosePod, type PodLoad } from "./pod-choice.ts";

/** After a failed connection, a server comes last for this long, doubling with each further one. */
const firstSpareMs = 2_000;
const maxSpareMs = 60_000;

interface PodState {
  inFlight: number;
  sparedUntilMs: number;
  spareMs: number;
}

/** Picker: the pool's endpoint picker. Otherwise the strategy by which the proxy chose. */
export type PodChooser = "Picker" | PoolConfig["strategy"];

/** The server for one attempt. Call `left` exactly once. */
export interface PodSeat {
  readonly pod: PodEntry;
  readonly chosenBy: PodChooser;
  /** Servers that the call has not tried; null if it has tried none, or all. */
  readonly untried: readonly string[] | null;
  /** Moves the attempt to the endpoint picker's choice. */
  move(pod: PodEntry): void;
  /** `unreachable`: no connection, or it broke. */
  left(unreachable: boolean): void;
}

/** What a call needs from a pool. */
export interface PodWish {
  affinity: string;
  /** Servers that this call has tried; added to. */
  tried: Set<string>;
}

export interface PodReading {
  pod: string;
  inFlight: number;
  spared: boolean;
}

class Pool {
  readonly #states = new Map<string, PodState>();
  #turn = 0;

  state(name: string): PodState {
    let state = this.#states.get(name);
    if (state === undefined) this.#states.set(name, (state = { inFlight: 0, sparedUntilMs: 0, spareMs: firstSpareMs }));
    return state;
  }

  turn(): number {
    this.#turn = (this.#turn + 1) % 1_000_000_007;
    return this.#turn;
  }

  /** Forgets removed servers once no call is under way there. */
  keep(names: ReadonlySet<string>): void {
    for (const [name, { inFlight }] of this.#states) if (!names.has(name) && inFlight === 0) this.#states.delete(name);
  }
}

function untriedOf(pods: readonly PodEntry[], tried: ReadonlySet<string>): string[] | null {
  if (tried.size === 0) return null;
  const names = pods.flatMap(({ name }) => (tried.has(name) ? [] : [name]));
  return names.length === 0 ? null : names;
}

class Seat implements PodSeat {
  pod: PodEntry;
  chosenBy: PodChooser;
  readonly untried: readonly string[] | null;
  readonly #pool: Pool;
  readonly #tried: Set<string>;
  readonly #nowMs: () => number;
  #state: PodState;
  /** Whether only this attempt has put the server into `tried`. */
  #isFirst = false;

  constructor(
    pool: Pool,
    { pod, chosenBy }: { pod: PodEntry; chosenBy: PodChooser },
    { tried, untried }: { tried: Set<string>; untried: readonly string[] | null },
    nowMs: () => number,
  ) {
    this.pod = pod;
    this.chosenBy = chosenBy;
    this.untried = untried;
    this.#pool = pool;
    this.#tried = tried;
    this.#nowMs = nowMs;
    this.#state = this.#enter(pod);
  }

  #enter({ name }: PodEntry): PodState {
    const state = this.#pool.state(name);
    state.inFlight++;
    this.#isFirst = !this.#tried.has(name);
    this.#tried.add(name);
    return state;
  }

  move(pod: PodEntry): void {
    this.chosenBy = "Picker";
    if (pod.name === this.pod.name) return;
    this.#state.inFlight--;
    if (this.#isFirst) this.#tried.delete(this.pod.name);
    this.pod = pod;
    this.#state = this.#enter(pod);
  }

  left(unreachable: boolean): void {
    const state = this.#state;
    state.inFlight--;
    if (!unreachable) state.spareMs = firstSpareMs;
    else {
      state.sparedUntilMs = this.#nowMs() + state.spareMs;
      state.spareMs = Math.min(maxSpareMs, state.spareMs * 2);
    }
  }
}

export class Pools {
  readonly #nowMs: () => number;
  readonly #pools = new Map<string, Pool>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  #pool(id: string): Pool {
    let pool = this.#pools.get(id);
    if (pool === undefined) this.#pools.set(id, (pool = new Pool()));
    return pool;
  }

  #loads({ account, pods = [] }: ProviderEntry, tried: ReadonlySet<string>): PodLoad[] {
    const pool = this.#pool(account.config.id);
    const nowMs = this.#nowMs();
    return pods.map(({ name }) => {
      const { inFlight, sparedUntilMs } = pool.state(name);
      return { name, inFlight, spared: sparedUntilMs > nowMs || tried.has(name) };
    });
  }

  /** Returns null if no server of the pool has room. The provider must have a pool. */
  take(entry: ProviderEntry, { affinity, tried }: PodWish): PodSeat | null {
    const { id, pool: config } = entry.account.config;
    if (config === undefined || entry.pods === undefined) return null;
    const pool = this.#pool(id);
    const { strategy, mostInFlight } = config;
    const chosen = choosePod(this.#loads(entry, tried), { strategy, mostInFlight, affinity, turn: pool.turn() });
    const pod = entry.pods[chosen];
    if (pod === undefined) return null;
    const untried = untriedOf(entry.pods, tried);
    return new Seat(pool, { pod, chosenBy: strategy }, { tried, untried }, this.#nowMs);
  }

  /** Returns null if the provider isn't a pool. */
  readings(entry: ProviderEntry): PodReading[] | null {
    if (entry.pods === undefined) return null;
    return this.#loads(entry, new Set()).map(({ name, inFlight, spared }) => ({ pod: name, inFlight, spared }));
  }

  keep(providers: ReadonlyMap<string, ProviderEntry>): void {
    for (const [id, pool] of this.#pools) {
      const pods = providers.get(id)?.pods;
      if (pods === undefined) this.#pools.delete(id);
      else pool.keep(new Set(pods.map(({ name }) => name)));
    }
  }
}
