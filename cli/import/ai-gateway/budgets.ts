/** Budgets and their alerts. */
import { periodOf } from "../amounts.ts";
import { takeFirst } from "../bounds.ts";
import { countField, firstSet, moneyField } from "../fields.ts";
import type { Manifests, Spec } from "../manifests.ts";
import { subjectFrom } from "../names.ts";
import type { Setting } from "../setting.ts";

const periods = ["hourly", "daily", "weekly", "monthly", "total"] as const;

/** `{daily: 100}`, `{daily_limit: 100}` or `{amount: 100, period: daily}`. */
function amountsOf(setting: Setting): { amount: Setting; period: string; name: string }[] {
  const own = firstSet(setting, "amount", "limit", "max_cost");
  const period = setting.get("period");
  if (own.number !== undefined) {
    period.imported("period");
    return [{ amount: own, period: period.text ?? "monthly", name: "" }];
  }
  return periods.flatMap((name) => {
    const amount = firstSet(
      setting,
      name,
      `${name}_limit`,
      `${name}_budget`,
      `max_cost_per_${name.replace(/ly$/, "").replace("dai", "day")}`,
    );
    return amount.number === undefined ? [] : [{ amount, period: name, name: `-${name}` }];
  });
}

const isPercent = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= 100;

function thresholds(setting: Setting): Spec {
  const values = setting
    .items()
    .map((item) => Number((item.text ?? String(firstSet(item, "percent", "threshold").text)).replace("%", "")))
    .map((value) => Math.round(value <= 1 ? value * 100 : value))
    .filter(isPercent);
  if (values.length === 0) return {};
  setting.imported("thresholds");
  return { thresholds: takeFirst([...new Set(values)], 10, "thresholds", () => setting) };
}

function throttleOf(setting: Setting): Spec {
  const from = firstSet(setting, "threshold", "at_percent", "start_at");
  if (from.number === undefined) return {};
  const atPercent = Math.round(from.number <= 1 ? from.number * 100 : from.number);
  const pass = firstSet(setting, "pass_percent", "allow_percent", "rate");
  const passPercent = Math.round((pass.number ?? 0.5) <= 1 ? (pass.number ?? 0.5) * 100 : (pass.number ?? 50));
  if (!isPercent(atPercent) || passPercent < 0 || passPercent > 99) return {};
  from.imported("throttle.atPercent");
  pass.imported("throttle.passPercent");
  return { throttle: { atPercent, passPercent } };
}

function add(setting: Setting, name: string, scope: Spec, shared: Spec, manifests: Manifests): void {
  const own = { ...shared, ...thresholds(firstSet(setting, "alert_thresholds", "thresholds")) };
  for (const { amount, period, name: suffix } of amountsOf(setting)) {
    const money = moneyField(amount, "amount");
    if (Object.keys(money).length === 0) continue;
    const isTotal = period.toLowerCase() === "total";
    manifests.add("Budget", `${name}${suffix}`, {
      ...money,
      period: isTotal ? "Total" : periodOf(period).period,
      ...scope,
      ...own,
    });
  }
}

function addGroup(group: Setting, kind: "users" | "teams", shared: Spec, manifests: Manifests): void {
  const per = kind === "users" ? "User" : "Team";
  for (const [name, setting] of group.entries()) {
    if (/^(default|each|\*)$/.test(name)) add(setting, `each-${per.toLowerCase()}`, { per }, shared, manifests);
    else if (setting.isMapping)
      add(setting, `${per}-${name}`, { scope: { [kind]: [subjectFrom(name)] } }, shared, manifests);
  }
}

/** Requests and tokens by minute, hour and day, and concurrent calls. */
export function limitsIn(group: Setting): Spec[] {
  const limits: Spec[] = [];
  for (const [unit, window] of [
    ["minute", "1m"],
    ["hour", "1h"],
    ["day", "1d"],
  ] as const)
    for (const what of ["requests", "tokens"] as const) {
      const fields = countField(
        firstSet(group, `${what}_per_${unit}`, `max_${what}_per_${unit}`),
        what,
        1_000_000_000,
        0,
      );
      if (Object.keys(fields).length > 0) limits.push({ ...fields, window });
    }
  const concurrency = countField(firstSet(group, "concurrent_requests", "max_concurrent"), "concurrency", 1_000_000, 0);
  return Object.keys(concurrency).length === 0 ? limits : [...limits, concurrency];
}

const limited: Readonly<Record<string, string | null>> = {
  api_key: "ApiKey",
  global: null,
  per_api_key: "ApiKey",
  per_key: "ApiKey",
  per_model: "Model",
  per_team: "Team",
  per_user: "User",
  team: "Team",
  user: "User",
};

function addLimits(document: Setting, manifests: Manifests): void {
  for (const [name, group] of firstSet(document, "rate_limits", "rate_limiting").entries()) {
    const per = Object.hasOwn(limited, name) ? limited[name] : undefined;
    const limits = per === undefined ? [] : limitsIn(group);
    if (per === undefined || limits.length === 0) continue;
    manifests.add("Budget", `limits-${name}`, { ...(per === null ? {} : { per }), limits });
  }
}

export function addBudgets(documents: readonly Setting[], manifests: Manifests): void {
  for (const document of documents) {
    addLimits(document, manifests);
    const budgets = firstSet(
      document,
      "budgets",
      "budget",
      "cost_management.budgets",
      "cost_control.budgets",
      "cost_management.budget",
    );
    if (!budgets.isMapping) continue;
    const parent = firstSet(document, "cost_management", "cost_control");
    const shared = {
      ...thresholds(firstSet(budgets, "alert_thresholds", "thresholds")),
      ...thresholds(firstSet(parent, "alert_thresholds", "thresholds")),
      ...throttleOf(firstSet(parent, "auto_throttle", "throttle")),
      ...throttleOf(firstSet(budgets, "auto_throttle", "throttle")),
    };
    add(budgets, "all", {}, shared, manifests);
    add(firstSet(budgets, "global", "total_budget"), "all", {}, shared, manifests);
    for (const name of ["per_user", "user"]) add(budgets.get(name), "each-user", { per: "User" }, shared, manifests);
    for (const name of ["per_team", "team"]) add(budgets.get(name), "each-team", { per: "Team" }, shared, manifests);
    for (const name of ["per_model", "model"])
      add(budgets.get(name), "each-model", { per: "Model" }, shared, manifests);
    addGroup(budgets.get("users"), "users", shared, manifests);
    addGroup(budgets.get("teams"), "teams", shared, manifests);
  }
}
