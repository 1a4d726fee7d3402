/** The console's viewer, and what they may see. */
import type { Kind } from "../../crds/kinds.ts";
import { namespaceOf } from "../compile/outcome.ts";

export interface Viewer {
  /** "" if there is no login. */
  user: string;
  /** Whether the viewer sees every namespace, and calls without one. */
  everything: boolean;
  /** Namespaces in which the viewer may list something; null for all. */
  namespaces: readonly string[] | null;
  /** Whether the viewer may list a kind in a namespace. */
  sees(kind: Kind, namespace: string): boolean;
}

export const everyone: Viewer = { user: "", everything: true, namespaces: null, sees: () => true };

export const seesObject = (viewer: Viewer, kind: Kind, id: string): boolean => viewer.sees(kind, namespaceOf(id));

/** A namespace's usage is visible to viewers who may list its API keys. */
export const seesUsage = (viewer: Viewer, namespace: string): boolean =>
  namespace === "" ? viewer.everything : viewer.sees("ApiKey", namespace);

/** The viewer, limited to one namespace; "" for no limit. */
export function limitedTo(viewer: Viewer, namespace: string): Viewer {
  if (namespace === "") return viewer;
  return {
    ...viewer,
    everything: false,
    sees: (kind, name) => name === namespace && viewer.sees(kind, name),
  };
}
