import type { ProviderModel } from "../providers/provider.ts";
import type { ProviderEntry, RouteTarget } from "./snapshot.ts";

/** A target whose model is determined. */
export interface ResolvedTarget {
  config: RouteTarget["config"];
  entry: ProviderEntry;
  model: ProviderModel;
}
