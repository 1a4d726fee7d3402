/** Permission for one attempt at a target, given back with what the attempt showed about the target. */
import type { ProviderConfig } from "../config/provider.ts";
import { isOfPicker } from "../wire/causes.ts";
import type { ModelHealth } from "./health.ts";
import type { PodSeat } from "./pools.ts";
import type { Room } from "./quotas.ts";
import type { Permit } from "./routing.ts";

/** What an attempt holds at its target. */
export interface TakenTarget {
  model: ModelHealth;
  config: ProviderConfig;
  /** The estimate that was taken from the quota. */
  tokens: number;
  caller: string;
  seat: PodSeat | null;
}

/** An attempt that didn't end well leaves its use of the quota unknown, so the estimate is kept. */
export class TargetPermit implements Permit {
  readonly #taken: TakenTarget;
  readonly #room: Room;
  readonly #nowMs: () => number;
  readonly #opened: ((provider: string) => void) | null;

  /** `opened`: receives the provider whose breaker a failure opens. */
  constructor(taken: TakenTarget, room: Room, nowMs: () => number, opened: ((provider: string) => void) | null) {
    this.#taken = taken;
    this.#room = room;
    this.#nowMs = nowMs;
    this.#opened = opened;
  }

  get seat(): PodSeat | null {
    return this.#taken.seat;
  }

  succeeded({ firstByteMs, tokens }: Parameters<Permit["succeeded"]>[0]): void {
    const { model, config, caller, seat } = this.#taken;
    model.succeeded(config, firstByteMs, this.#nowMs(), caller);
    this.#room.settle(1, tokens > 0 ? tokens : this.#taken.tokens);
    seat?.left(false);
  }

  failed({ ofCaller = true, ...failure }: Parameters<Permit["failed"]>[0]): boolean {
    const { model, config, tokens, caller, seat } = this.#taken;
    const suspect = ofCaller && caller !== "" ? { caller } : {};
    const { counted, opened } = model.failed(config, { ...failure, ...suspect }, this.#nowMs());
    if (opened) this.#opened?.(config.id);
    this.#room.settle(1, tokens);
    const ofServer = failure.class === "Unavailable" || failure.class === "Timeout";
    seat?.left(ofServer && !isOfPicker(failure.cause ?? null));
    return counted;
  }

  released(): void {
    const { model, tokens, caller, seat } = this.#taken;
    model.release(caller);
    this.#room.settle(1, tokens);
    seat?.left(false);
  }
}
