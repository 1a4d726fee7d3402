/** Budget → BudgetConfig. */
import { decimalToNano } from "../../crds/quantity.ts";
import { budgetFacts } from "../../crds/types/alerts.ts";
import type { KeySelector } from "../../crds/types/budget.ts";
import type { BudgetConfig } from "../../proxy/config/budget.ts";
import { type Channel, type ChannelName, channelNames, compileChannels } from "./alerts.ts";
import { compileLimits } from "./limits.ts";
import { type ParsedObject, problem } from "./outcome.ts";
import { knownTimeZone } from "./time-zone.ts";
import type { Problem } from "./verdict.ts";
import type { World } from "./world.ts";

const sorted = (names: string[] | undefined): string[] | null => (names === undefined ? null : [...names].sort());

export interface CompiledBudget {
  config: BudgetConfig;
  /** null where it doesn't go by labels. */
  selector: KeySelector | null;
  /** null where no money is limited. */
  watch: BudgetWatch | null;
  accepted: Problem[];
  resolvedRefs: Problem[];
}

/** What of a Budget's spec its standing goes by. */
export interface BudgetRules {
  config: BudgetConfig & { amountNanoUsd: number };
  /** Percent, ascending. */
  thresholds: readonly number[];
  spike: { factor: number; minimumNanoUsd: number } | null;
}

/** What the operator goes by when it watches a budget. */
export interface BudgetWatch extends BudgetRules {
  /** Those that can be used. */
  channels: readonly Channel[];
  /** All that the spec names. */
  named: readonly ChannelName[];
}

/** `mail`: the installation has a mail server. */
export function compileBudget(budget: ParsedObject<"Budget">, world: World, mail: boolean): CompiledBudget {
  const { spec, meta } = budget;
  const accepted: Problem[] = [];
  const resolvedRefs: Problem[] = [];
  if (!knownTimeZone(spec.timeZone))
    accepted.push(
      problem("Invalid", `spec.timeZone: ${spec.timeZone} is no IANA time zone, such as Asia/Tokyo`, [
        "spec",
        "timeZone",
      ]),
    );
  const { scope } = spec;
  const config: BudgetConfig = {
    id: budget.id,
    amountNanoUsd: spec.amount === undefined ? null : decimalToNano(spec.amount),
    period: spec.period ?? "Total",
    timeZone: spec.timeZone,
    namespace: meta.namespace,
    scope: {
      users: sorted(scope.users),
      teams: sorted(scope.teams),
      roles: sorted(scope.roles),
      tags: sorted(scope.tags),
      models: sorted(scope.models),
      providers: sorted(scope.providers?.map((name) => `${meta.namespace}/${name}`)),
      selected: scope.selector !== undefined,
      apiKeys: sorted(scope.apiKeys?.map((name) => `${meta.namespace}/${name}`)),
    },
    per: spec.per ?? null,
    enforcement: spec.enforcement,
    throttle:
      spec.throttle === undefined ? null : { at: spec.throttle.atPercent / 100, pass: spec.throttle.passPercent / 100 },
    limits: compileLimits(spec.limits, accepted, spec.per ?? "Route"),
    expiresAtMs: spec.expiresAt === undefined ? null : Date.parse(spec.expiresAt),
    onStateLoss: spec.onStateLoss === "Allow" ? "allow" : "deny",
    seeds: [],
  };
  const channels = compileChannels(spec.alerts, meta.namespace, budgetFacts, world, mail, accepted, resolvedRefs);
  const { amountNanoUsd } = config;
  const spike =
    spec.spike === undefined
      ? null
      : { factor: Number(spec.spike.factor), minimumNanoUsd: decimalToNano(spec.spike.minimum) };
  const thresholds = [...spec.thresholds].sort((a, b) => a - b);
  const selector = spec.scope.selector ?? null;
  const watch =
    amountNanoUsd === null
      ? null
      : { config: { ...config, amountNanoUsd }, thresholds, spike, channels, named: channelNames(spec.alerts) };
  return { config, watch, selector, accepted, resolvedRefs };
}
