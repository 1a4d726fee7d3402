/** Which objects are not published in their compiled form because publishing was not completed. Pure. */
import type { Kind } from "../../crds/kinds.ts";
import { equal } from "../../proxy/config/incremental.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { problem } from "../compile/outcome.ts";
import type { Verdict } from "../compile/verdict.ts";

type Entries = ReadonlyMap<string, object>;

const byId = (entries: readonly { id: string }[]): Entries => new Map(entries.map((entry) => [entry.id, entry]));

/** Entries by kind and id. An ApiKey has one record. */
export function entriesOf(config: RenderedConfig | null): Readonly<Record<Kind, Entries>> {
  const { providers = [], routes = [], budgets = [], keys = [] } = config ?? {};
  return { LLMProvider: byId(providers), RoutingPolicy: byId(routes), Budget: byId(budgets), ApiKey: byId(keys) };
}

/** Marks the verdicts on forms that proxies can't find. `live`: what is published. */
export function markUnpublished(verdicts: readonly Verdict[], live: RenderedConfig | null): Verdict[] {
  const entries = entriesOf(live);
  return verdicts.map((verdict): Verdict => {
    const published = entries[verdict.kind].get(`${verdict.meta.namespace}/${verdict.meta.name}`) ?? null;
    return published === verdict.entry || equal(published, verdict.entry) ? verdict : { ...verdict, unpublished: true };
  });
}

/** Adds a warning to the verdicts on objects with which the operator can't do all that it should. */
export function withLosses(
  verdicts: readonly Verdict[],
  lostOf: ((verdict: Verdict) => string) | null,
): readonly Verdict[] {
  if (lostOf === null) return verdicts;
  return verdicts.map((verdict) => {
    const lost = lostOf(verdict);
    if (lost === "") return verdict;
    return { ...verdict, accepted: [...verdict.accepted, problem("OperatorForbidden", lost, [], "warning")] };
  });
}
