/**
 * Which form of each object is known to be live everywhere. A new revision touches a few objects; the others stay
 * Programmed, and their status isn't written again for each revision. With 50,000 keys that is the difference between
 * one write and 50,000. Pure, but for what it remembers.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../../proxy/config/encode.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import type { Compiled } from "../compile/compile.ts";
import { type Programmed, previousConditions } from "../compile/status.ts";
import type { Verdict } from "../compile/verdict.ts";
import type { ObjectRef } from "../compile/world.ts";

const refOf = (verdict: Verdict): ObjectRef => `${verdict.kind}/${verdict.meta.namespace}/${verdict.meta.name}`;
const digestOf = (entry: unknown): string => createHash("sha256").update(canonicalJson(entry)).digest("base64");

function digestsOf(config: RenderedConfig): Map<string, string> {
  const digests = new Map<string, string>();
  for (const one of config.providers) digests.set(`LLMProvider/${one.id}`, digestOf(one));
  for (const one of config.routes) digests.set(`RoutingPolicy/${one.id}`, digestOf(one));
  for (const one of config.budgets) digests.set(`Budget/${one.id}`, digestOf(one));
  for (const one of config.keys) digests.set(`ApiKey/${one.id}`, digestOf(one));
  return digests;
}

/** What an earlier process found, read from the condition that it wrote. */
export function stateIn(status: unknown, generation: number): Programmed | null {
  const condition = previousConditions(status).find((one) => one.type === "Programmed");
  if (condition?.status !== "True" || condition.observedGeneration !== generation) return null;
  const match = /^(\d+)\/(\d+) proxies at ([0-9a-f]+)$/.exec(condition.message);
  return match ? { live: Number(match[1]), total: Number(match[2]), revision: match[3] ?? "" } : null;
}

export class LiveBook {
  #known = new Map<string, { digest: string; state: Programmed }>();

  /** The state to report for each object: the one in which its present form went live, or else the present one. */
  statesOf(compiled: Compiled, now: Programmed, statusNow: (verdict: Verdict) => unknown): (verdict: Verdict) => Programmed {
    const digests = digestsOf(compiled.config);
    const everywhere = now.total > 0 && now.live >= now.total;
    const before = this.#known;
    const known = new Map<string, { digest: string; state: Programmed }>();
    for (const verdict of compiled.verdicts) {
      const ref = refOf(verdict);
      const digest = digests.get(ref) ?? "";
      const was = before.get(ref);
      if (was?.digest === digest) known.set(ref, was);
      else if (everywhere) {
        const told = was === undefined ? stateIn(statusNow(verdict), verdict.meta.generation) : null;
        known.set(ref, { digest, state: told ?? now });
      }
    }
    this.#known = known;
    // With no proxy at all nothing is live, whatever was before.
    return (verdict) => (now.total === 0 ? now : (known.get(refOf(verdict))?.state ?? now));
  }
}
