/** Where a request for something that a provider keeps goes, and by which policy. */
import type { ProviderEntry, Route } from "../snapshot/snapshot.ts";

export interface ResourceTarget {
  route: Route;
  entry: ProviderEntry;
}
