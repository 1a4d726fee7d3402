/**
 * The sessions that limits and budgets count separately. Callers make up the names, so their number is bounded. Beyond
 * a key's own bound, its further sessions are counted together, as are its calls without a session. Where all keys
 * together have too many, the key with the most loses those it used least recently to keys that have fewer.
 */

/** A session that makes no call for this long is forgotten, in milliseconds. */
export const sessionIdleMs = 24 * 3_600_000;
const maxOfKey = 10_000;
const maxInAll = 100_000;

export interface SessionRoomBounds {
  ofKey: number;
  inAll: number;
}

/** A key's sessions, and when each was last used. The one used least recently is the first. */
type Sessions = Map<string, number>;

export class SessionRoom {
  readonly #bounds: SessionRoomBounds;
  /** By key. The entry used least recently is the first. */
  readonly #keys = new Map<string, Sessions>();
  /** By number of sessions: the keys that have as many. */
  readonly #bySize: Set<Sessions>[] = [];
  #size = 0;
  #largest = 0;

  constructor(bounds: SessionRoomBounds = { ofKey: maxOfKey, inAll: maxInAll }) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#size;
  }

  /** Number of sessions of each key. */
  get sizes(): number[] {
    return [...this.#keys.values()].map(({ size }) => size);
  }

  /** What a call is counted under: its session, tied to its key. */
  subject(key: string, session: string, nowMs: number): string {
    return `${session !== "" && this.#holds(key, session, nowMs) ? session : ""}@${key}`;
  }

  #holds(key: string, session: string, nowMs: number): boolean {
    const sessions: Sessions = this.#keys.get(key) ?? new Map();
    // Keys are in the order of their last use, too.
    this.#keys.delete(key);
    const isHeld = sessions.delete(session) || this.#takesIn(sessions, nowMs);
    if (isHeld) sessions.set(session, nowMs);
    if (sessions.size > 0) this.#keys.set(key, sessions);
    return isHeld;
  }

  /** Whether there is room for another session of this key. */
  #takesIn(sessions: Sessions, nowMs: number): boolean {
    this.#forgetIdle(sessions, nowMs);
    for (const [first, others] of this.#keys) {
      this.#forgetIdle(others, nowMs);
      if (others.size === 0) this.#keys.delete(first);
      break;
    }
    if (sessions.size >= this.#bounds.ofKey) return false;
    if (this.#size >= this.#bounds.inAll && !this.#displaces(sessions)) return false;
    this.#resized(sessions, sessions.size, sessions.size + 1);
    return true;
  }

  /** Takes the place of a session of the key that has the most, if that has more than one more. */
  #displaces({ size }: Sessions): boolean {
    if (this.#largest <= size + 1) return false;
    const [most] = this.#bySize[this.#largest] as Set<Sessions>;
    if (most !== undefined) this.#forgetOldest(most);
    return true;
  }

  /** Forgets up to two sessions, so that each new session makes room for itself. */
  #forgetIdle(sessions: Sessions, nowMs: number): void {
    for (let count = 0; count < 2; count++) {
      const [oldest] = sessions;
      if (oldest === undefined || nowMs - oldest[1] < sessionIdleMs) return;
      this.#forgetOldest(sessions);
    }
  }

  #forgetOldest(sessions: Sessions): void {
    const [session] = sessions.keys();
    if (session === undefined) return;
    sessions.delete(session);
    this.#resized(sessions, sessions.size + 1, sessions.size);
  }

  #resized(sessions: Sessions, from: number, to: number): void {
    this.#size += to - from;
    this.#bySize[from]?.delete(sessions);
    if (to > 0) (this.#bySize[to] ??= new Set()).add(sessions);
    this.#largest = Math.max(this.#largest, to);
    while (this.#largest > 0 && !this.#bySize[this.#largest]?.size) this.#largest--;
  }
}
