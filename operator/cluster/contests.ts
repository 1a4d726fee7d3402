/**
 * Detects another installation that writes the statuses of the same objects: only installations write statuses, so one
 * that must be written again unchanged was overwritten. Both then put their names into the statuses, and the one whose
 * name sorts last stops writing for a while. It tries again later, because the other may be gone.
 */
import type { WorldObject } from "../compile/world.ts";
import type { StatusWrite } from "./status-book.ts";
import { statusDigest } from "./status-writer.ts";

/** Statuses of a namespace written again before it counts as a contest, and not as an edit by hand. */
const repeatsOfContest = 3;
const maxWritten = 10_000;

export interface Contest {
  namespace: string;
  /** The other installation; null before it is known. */
  rival: string | null;
  /** Whether this installation stops writing statuses there. */
  yields: boolean;
  /** An object whose status was overwritten. */
  object: WorldObject;
}

interface Contested {
  rival: string | null;
  untilMs: number;
}

const writerOf = ({ status }: WorldObject): string | null =>
  (status as { writtenBy?: string } | null | undefined)?.writtenBy ?? null;

export class Contests {
  readonly #me: string;
  readonly #holdMs: number;
  readonly #nowMs: () => number;
  readonly #noticed: (contest: Contest) => void;
  /** The status that was written last, by uid, and the form of the object that it was for; oldest first. */
  readonly #written = new Map<string, { digest: string; meta: WorldObject["meta"] }>();
  readonly #repeats = new Map<string, number>();
  readonly #contested = new Map<string, Contested>();
  #sinceMs: number;

  /** `me`: names this installation in the cluster. `holdMs`: how long a contest counts after it was noticed. */
  constructor(me: string, options: { holdMs: number; nowMs(): number; noticed(contest: Contest): void }) {
    this.#me = me;
    this.#holdMs = options.holdMs;
    this.#nowMs = options.nowMs;
    this.#noticed = options.noticed;
    this.#sinceMs = options.nowMs();
  }

  /** Namespaces in which another installation writes statuses as well. */
  get namespaces(): string[] {
    this.#forget();
    return [...this.#contested.keys()];
  }

  /** Returns what to write instead, or null if this installation leaves the status to the other one. */
  admit(write: StatusWrite): StatusWrite | null {
    this.#forget();
    const { namespace } = write.verdict.meta;
    const contested = this.#contested.get(namespace);
    if (contested === undefined) return write;
    const writer = writerOf(write.object);
    if (writer !== null && writer !== this.#me && contested.rival === null) {
      contested.rival = writer;
      this.#notify(namespace, contested, write.object);
    }
    if (this.#yields(contested)) return null;
    const status = { ...write.status, writtenBy: this.#me };
    return statusDigest(status) === statusDigest(write.object.status) ? null : { ...write, status };
  }

  /** Call after a status was written. */
  wrote({ verdict: { meta }, object, status }: StatusWrite): void {
    const { writtenBy: _name, ...own } = status as { writtenBy?: string };
    const digest = statusDigest(own);
    const before = this.#written.get(meta.uid);
    // If the watch has returned nothing since, this process itself wrote twice.
    const again = before?.digest === digest && before.meta !== object.meta;
    this.#written.delete(meta.uid);
    this.#written.set(meta.uid, { digest, meta: object.meta });
    for (const oldest of this.#written.keys()) {
      if (this.#written.size <= maxWritten) break;
      this.#written.delete(oldest);
    }
    if (!again) return;
    const repeats = (this.#repeats.get(meta.namespace) ?? 0) + 1;
    this.#repeats.set(meta.namespace, repeats);
    if (repeats < repeatsOfContest) return;
    const contest = this.#contested.get(meta.namespace);
    const contested = { rival: contest?.rival ?? null, untilMs: this.#nowMs() + this.#holdMs };
    this.#contested.set(meta.namespace, contested);
    if (contest === undefined) this.#notify(meta.namespace, contested, object);
  }

  #yields({ rival }: Contested): boolean {
    return rival !== null && rival < this.#me;
  }

  #notify(namespace: string, contested: Contested, object: WorldObject): void {
    this.#noticed({ namespace, rival: contested.rival, yields: this.#yields(contested), object });
  }

  #forget(): void {
    const nowMs = this.#nowMs();
    for (const [namespace, { untilMs }] of this.#contested) {
      if (nowMs < untilMs) continue;
      this.#contested.delete(namespace);
      this.#repeats.delete(namespace);
      // Statuses that the other one wrote meanwhile don't show that it is still there.
      this.#written.clear();
    }
    // Repeats count only if they come close together.
    if (nowMs - this.#sinceMs < this.#holdMs) return;
    this.#sinceMs = nowMs;
    this.#written.clear();
    for (const namespace of this.#repeats.keys()) if (!this.#contested.has(namespace)) this.#repeats.delete(namespace);
  }
}
