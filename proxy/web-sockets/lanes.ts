/** The responses of a connection, in lanes (`stream_id`): those of one lane are served one after another. */
import type { CreateEvent } from "./create-event.ts";

/** As OpenAI documents it. */
export const maxLanes = 32;

export interface Lane {
  readonly name: string;
  readonly waiting: CreateEvent[];
  isBusy: boolean;
}

export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  /** Number of events that wait in all lanes. */
  waiting = 0;

  all(): Iterable<Lane> {
    return this.#lanes.values();
  }

  /** Returns false if the event needs a new lane and there are too many. */
  add(event: CreateEvent): boolean {
    const lane = this.#lanes.get(event.lane) ?? this.#open(event.lane);
    if (lane === null) return false;
    lane.waiting.push(event);
    this.waiting++;
    return true;
  }

  #open(name: string): Lane | null {
    if (this.#lanes.size >= maxLanes) return null;
    const lane: Lane = { name, waiting: [], isBusy: false };
    this.#lanes.set(name, lane);
    return lane;
  }

  /** Takes the lane's next event out; null if the lane is busy or nothing waits in it. */
  next(lane: Lane): CreateEvent | null {
    if (lane.isBusy) return null;
    const event = lane.waiting.shift();
    if (event === undefined) return null;
    this.waiting--;
    return event;
  }
}
