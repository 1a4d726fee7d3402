/**
 * What compile remembers from one pass to the next. A caller that compiles repeatedly makes one memo and passes it each
 * time; the output is byte for byte the same as without it.
 */
import type { Kind } from "../../crds/kinds.ts";
import type { ParsedSpec } from "../../crds/parse.ts";
import type { BudgetConfig } from "../../proxy/config/budget.ts";
import { Interner, MapMemo } from "../../proxy/config/incremental.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import type { RouteConfig } from "../../proxy/config/route.ts";
import { KeyMemo } from "./compile-keys.ts";
import type { WorldObject } from "./world.ts";

type Specs<K extends Kind> = MapMemo<WorldObject, ParsedSpec<K>>;

export class CompileMemo {
  readonly kinds = new MapMemo<WorldObject, Kind>();
  readonly providerSpecs: Specs<"LLMProvider"> = new MapMemo();
  readonly policySpecs: Specs<"RoutingPolicy"> = new MapMemo();
  readonly budgetSpecs: Specs<"Budget"> = new MapMemo();
  readonly keys = new KeyMemo();
  /** Equal output is the same object, so that an encoder need not examine it. */
  readonly providers = new Interner<ProviderConfig>();
  readonly routes = new Interner<RouteConfig>();
  readonly budgets = new Interner<BudgetConfig>();
}
