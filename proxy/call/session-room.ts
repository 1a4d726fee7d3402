/**
 * The sessions that limits and budgets count separately. Callers make up the names, so their number is bounded: beyond
 * it, a key's further sessions are counted together, as are its calls without a session.
 */

/** A session that makes no call for this long is forgotten, in milliseconds. */
export const sessionIdleMs = 24 * 3_600_000;
const maxOfKey = 10_000;
const maxInAll = 100_000;

export interface SessionRoomBounds {
  ofKey: number;
  inAll: number;
}

export class SessionRoom {
  readonly #bounds: SessionRoomBounds;
  /** By key, then by session: when it was last used. The entry used least recently is the first. */
  readonly #keys = new Map<string, Map<string, number>>();
  #size = 0;

  constructor(bounds: SessionRoomBounds = { ofKey: maxOfKey, inAll: maxInAll }) {
    this.#bounds = bounds;
  }

  /** What a call is counted under: its session, tied to its key. */
  subject(key: string, session: string, nowMs: number): string {
    return `${session !== "" && this.#holds(key, session, nowMs) ? session : ""}@${key}`;
  }

  #holds(key: string, session: string, nowMs: number): boolean {
    const sessions = this.#keys.get(key) ?? new Map<string, number>();
    // Keys are in the order of their last use, too.
    this.#keys.delete(key);
    if (!sessions.delete(session)) {
      this.#forgetIdle(sessions, nowMs);
      for (const [first, others] of this.#keys) {
        this.#forgetIdle(others, nowMs);
        if (others.size === 0) this.#keys.delete(first);
        break;
      }
      if (sessions.size >= this.#bounds.ofKey || this.#size >= this.#bounds.inAll) {
        if (sessions.size > 0) this.#keys.set(key, sessions);
        return false;
      }
      this.#size++;
    }
    sessions.set(session, nowMs);
    this.#keys.set(key, sessions);
    return true;
  }

  /** Forgets up to two sessions, so that each new session makes room for itself. */
  #forgetIdle(sessions: Map<string, number>, nowMs: number): void {
    for (let count = 0; count < 2; count++) {
      const [oldest] = sessions;
      if (oldest === undefined || nowMs - oldest[1] < sessionIdleMs) return;
      sessions.delete(oldest[0]);
      this.#size--;
    }
  }
}
