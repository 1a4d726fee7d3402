/** The revision on each proxy, and the state of every object. */
import type { ConsoleFacts } from "../gather.ts";
import type { Viewer } from "../viewer.ts";
import { type ObjectState, objectState, urgencyOf } from "./conditions.ts";

export interface ConfigView {
  revision: string;
  proxies: {
    name: string;
    answers: boolean;
    revision: string | null;
    current: boolean;
    ready: boolean;
    draining: boolean;
    rejected: string | null;
    keys: number;
    inFlight: number;
  }[];
  objects: ObjectState[];
  /** Number of objects before the list was cut. */
  total: number;
}

const maxObjects = 500;

/** `search`: part of a kind, a name or a problem. */
export function configView(facts: ConsoleFacts, viewer: Viewer, search: string): ConfigView {
  const wanted = search.toLowerCase();
  const objects = facts.objects
    .filter(({ kind, meta }) => viewer.sees(kind, meta.namespace))
    .map(objectState)
    .filter(({ kind, id, why }) => `${kind} ${id} ${why}`.toLowerCase().includes(wanted))
    .sort((a, b) => urgencyOf(a.state) - urgencyOf(b.state));
  return {
    revision: facts.revision,
    proxies: facts.proxies.map(({ name, report }) => ({
      name,
      answers: report !== null,
      revision: report?.revision ?? null,
      current: report !== null && report.revision === facts.revision,
      ready: report?.ready ?? false,
      draining: report?.draining ?? false,
      rejected: report?.rejected?.reason ?? null,
      keys: report?.keys ?? 0,
      inFlight: report?.inFlight ?? 0,
    })),
    objects: objects.slice(0, maxObjects),
    total: objects.length,
  };
}
