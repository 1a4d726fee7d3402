/**
 * Which form of each object is known to be live everywhere. A new revision touches a few objects; the others stay
 * Programmed, and their status isn't written again for each revision. With 50,000 keys that is the difference between
 * one write and 50,000. Pure, but for what it remembers.
 */
import { differences, equal } from "../../proxy/config/remember.ts";
import { type Programmed, previousConditions } from "../compile/status.ts";
import type { Verdict } from "../compile/verdict.ts";
import type { ObjectRef } from "../compile/world.ts";

const refOf = (verdict: Verdict): ObjectRef => `${verdict.kind}/${verdict.meta.namespace}/${verdict.meta.name}`;

/** What an earlier process found, read from the condition that it wrote. */
export function stateIn(status: unknown, generation: number): Programmed | null {
  const condition = previousConditions(status).find((one) => one.type === "Programmed");
  if (condition?.status !== "True" || condition.observedGeneration !== generation) return null;
  const match = /^(\d+)\/(\d+) proxies at ([0-9a-f]+)$/.exec(condition.message);
  return match ? { live: Number(match[1]), total: Number(match[2]), revision: match[3] ?? "" } : null;
}

/** The form of an object that was live everywhere, and the state in which it went so. */
interface Held {
  entry: object | null;
  state: Programmed;
}

export class LiveBook {
  readonly #known = new Map<string, Held>();
  #verdicts: readonly Verdict[] = [];
  /** Verdicts on forms that are not known to be live everywhere. */
  readonly #pending = new Set<Verdict>();

  /**
   * The state to report for each object: the one in which its present form went live, or else the present one. A verdict
   * that is the same object as the time before is on the same form.
   */
  statesOf(verdicts: readonly Verdict[], now: Programmed, statusNow: (verdict: Verdict) => unknown): (verdict: Verdict) => Programmed {
    this.#turnOver(verdicts);
    const everywhere = now.total > 0 && now.live >= now.total;
    for (const verdict of [...this.#pending]) if (this.#settle(verdict, now, everywhere, statusNow)) this.#pending.delete(verdict);
    // With no proxy at all nothing is live, whatever was before.
    return (verdict) => (now.total === 0 ? now : (this.#known.get(refOf(verdict))?.state ?? now));
  }

  #turnOver(verdicts: readonly Verdict[]): void {
    const { gone, come } = differences(this.#verdicts, verdicts);
    this.#verdicts = verdicts;
    const refs = new Set<string>();
    for (const verdict of gone) {
      this.#pending.delete(verdict);
      refs.add(refOf(verdict));
    }
    for (const verdict of come) {
      this.#pending.add(verdict);
      refs.delete(refOf(verdict));
    }
    for (const ref of refs) this.#known.delete(ref);
  }

  /** true where it is known now in which state the form went live. */
  #settle(verdict: Verdict, now: Programmed, everywhere: boolean, statusNow: (verdict: Verdict) => unknown): boolean {
    const ref = refOf(verdict);
    const was = this.#known.get(ref);
    if (was !== undefined && equal(was.entry, verdict.entry)) was.entry = verdict.entry;
    else if (everywhere) {
      const told = was === undefined ? stateIn(statusNow(verdict), verdict.meta.generation) : null;
      this.#known.set(ref, { entry: verdict.entry, state: told ?? now });
    } else {
      this.#known.delete(ref);
      return false;
    }
    return true;
  }

  /** It is not known yet whether its form is live everywhere, so that its state may be another the next time. */
  isPending(verdict: Verdict): boolean {
    return this.#pending.has(verdict);
  }
}
