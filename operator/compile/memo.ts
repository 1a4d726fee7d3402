/**
 * What compile remembers from one pass to the next. Who compiles again and again makes one and hands it in each time; the
 * output is the same as without, to the byte.
 */
import type { Kind } from "../../crds/kinds.ts";
import type { ParsedSpec } from "../../crds/parse.ts";
import type { BudgetConfig } from "../../proxy/config/budget.ts";
import { Made, Twins } from "../../proxy/config/incremental.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import type { RouteConfig } from "../../proxy/config/route.ts";
import { KeyMemo } from "./compile-keys.ts";
import type { WorldObject } from "./world.ts";

type Specs<K extends Kind> = Made<WorldObject, ParsedSpec<K>>;

export class CompileMemo {
  readonly kinds = new Made<WorldObject, Kind>();
  readonly providerSpecs: Specs<"LLMProvider"> = new Made();
  readonly policySpecs: Specs<"RoutingPolicy"> = new Made();
  readonly budgetSpecs: Specs<"Budget"> = new Made();
  readonly keys = new KeyMemo();
  /** What comes out equal comes out as the same object, so that who encodes it need not look into it. */
  readonly providers = new Twins<ProviderConfig>();
  readonly routes = new Twins<RouteConfig>();
  readonly budgets = new Twins<BudgetConfig>();
}
