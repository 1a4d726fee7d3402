import type { ProviderModel } from "../providers/provider.ts";
import type { ProviderEntry, RouteTarget } from "./snapshot.ts";

/** A target with the model settled. */
export interface ResolvedTarget {
  config: RouteTarget["config"];
  entry: ProviderEntry;
  model: ProviderModel;
}
