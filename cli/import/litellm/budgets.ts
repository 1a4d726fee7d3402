/** Budgets of the config.yaml, and the parts of a Budget that tables need as well. */

import { decimalText, periodOf } from "../amounts.ts";
import { boundedNumber } from "../bounds.ts";
import type { ImportedObject, Manifests, Spec } from "../manifests.ts";
import { modelNameFrom, subjectFrom } from "../names.ts";
import { serviceNamed } from "../services.ts";
import type { Setting } from "../setting.ts";
import type { Config } from "./config.ts";

/** Amount and period of a Budget; null if there is no amount. */
export function amountOf(amount: Setting, duration: Setting): Spec | null {
  if (amount.number === undefined) return null;
  const { period, factor, note } = periodOf(duration.text);
  const text = decimalText(amount.number * factor);
  if (text === null) {
    amount.notImported("an amount is from 0 to below 9000000 USD");
    return null;
  }
  amount.imported("amount of a Budget");
  duration.mark(note === "" ? "Imported" : "Changed", ["period of the Budget", note].filter(Boolean).join("; "));
  return { amount: text, period };
}

/** A soft budget only alerts: it becomes a threshold of the hard one, or a soft Budget of its own. */
export function thresholdsOf(soft: Setting, amount: Setting): Spec {
  if (soft.number === undefined || amount.number === undefined || amount.number <= 0) return {};
  const percent = Math.round((100 * soft.number) / amount.number);
  if (percent < 1 || percent > 99) return {};
  soft.imported("a threshold of the Budget");
  return { thresholds: [percent, 100] };
}

const mostOf = { requests: 1_000_000_000, tokens: 1_000_000_000_000, concurrency: 1_000_000 };

export interface LimitPlaces {
  requests: Setting;
  tokens: Setting;
  concurrency: Setting;
}

export function limitsOf({ requests, tokens, concurrency }: LimitPlaces): Spec[] {
  const limit = (setting: Setting, name: keyof typeof mostOf, more: Spec): Spec[] => {
    if (setting.number === undefined) return [];
    setting.imported(`a limit of ${name}`);
    return [{ [name]: boundedNumber(Math.floor(setting.number), 0, mostOf[name], name, setting), ...more }];
  };
  return [
    ...limit(requests, "requests", { window: "1m" }),
    ...limit(tokens, "tokens", { window: "1m" }),
    ...limit(concurrency, "concurrency", {}),
  ];
}

interface ConfigBudget {
  name: string;
  amount: Setting;
  duration: Setting;
  spec: Spec;
}

function add(
  { name, amount, duration, spec }: ConfigBudget,
  manifests: Manifests,
  alerts: Spec,
): ImportedObject | null {
  const money = amountOf(amount, duration);
  return money === null ? null : manifests.add("Budget", name, { ...money, ...spec, ...alerts });
}

/** A deployment's budget counts the model's calls, whichever deployment answers. */
function deploymentBudgets(config: Config, manifests: Manifests, alerts: Spec): void {
  for (const entry of config.sections("model_list").flatMap((section) => section.items())) {
    const own = entry.get("litellm_params");
    const model = modelNameFrom(entry.get("model_name").text ?? "");
    if (model === null || own.get("max_budget").number === undefined) continue;
    own.get("max_budget").changed("a Budget for calls of the model, whichever deployment answers");
    const spec = { scope: { models: [model] } };
    add(
      { name: `model-${model}`, amount: own.get("max_budget"), duration: own.get("budget_duration"), spec },
      manifests,
      alerts,
    );
  }
}

/** Names of the service's LLMProviders. */
function providersOf(service: string, manifests: Manifests): string[] {
  const serviceType = serviceNamed(service);
  if (serviceType === null) return [];
  return manifests
    .of("LLMProvider")
    .filter(({ spec }) => spec["type"] === serviceType.type && spec["preset"] === serviceType.preset)
    .map(({ name }) => name);
}

function providerBudgets(config: Config, manifests: Manifests, alerts: Spec): void {
  for (const [service, setting] of config.find(["router_settings", "provider_budget_config"])?.entries() ?? []) {
    const providers = providersOf(service, manifests);
    if (providers.length === 0) {
      setting.notImported(`no LLMProvider of ${service} was imported`);
      continue;
    }
    const [amount, duration] = [
      ["budget_limit", "max_budget"],
      ["time_period", "budget_duration"],
    ].map(
      (names) => names.map((name) => setting.get(name)).find((setting) => setting.isSet) ?? setting.get(names[0] ?? ""),
    );
    if (amount === undefined || duration === undefined) continue;
    add({ name: `provider-${service}`, amount, duration, spec: { scope: { providers } } }, manifests, alerts);
  }
}

function tagBudgets(config: Config, manifests: Manifests, alerts: Spec): void {
  for (const [tag, setting] of config.find(["litellm_settings", "tag_budget_config"])?.entries() ?? []) {
    const spec = { scope: { tags: [subjectFrom(tag)] } };
    const [amount, duration] = [setting.get("max_budget"), setting.get("budget_duration")];
    if (add({ name: `tag-${tag}`, amount, duration, spec }, manifests, alerts) !== null)
      setting.changed("tags are those of the ApiKey, and not those that a caller sends", [
        "max_budget",
        "budget_duration",
      ]);
  }
}

export function addBudgets(config: Config, manifests: Manifests, alerts: Spec): void {
  for (const [name, prefix, spec] of [
    ["all-calls", "", {}],
    ["each-user", "internal_user_", { per: "User" }],
  ] as const) {
    const settings = config.sections("litellm_settings")[0];
    if (settings === undefined) continue;
    const amount = prefix === "" ? settings.get("max_budget") : settings.get("max_internal_user_budget");
    add({ name, amount, duration: settings.get(`${prefix}budget_duration`), spec }, manifests, alerts);
  }
  providerBudgets(config, manifests, alerts);
  tagBudgets(config, manifests, alerts);
  deploymentBudgets(config, manifests, alerts);
  const concurrency = config.find(["general_settings", "global_max_parallel_requests"]);
  if (concurrency?.number === undefined) return;
  concurrency.imported("a limit of a Budget");
  const limits = [{ concurrency: Math.max(0, Math.floor(concurrency.number)) }];
  manifests.add("Budget", "all-calls-at-once", { limits });
}
