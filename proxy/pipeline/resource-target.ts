/** The provider and the policy for a request about an object that a provider keeps. */
import type { ProviderEntry, Route } from "../snapshot/snapshot.ts";

export interface ResourceTarget {
  route: Route;
  entry: ProviderEntry;
}
