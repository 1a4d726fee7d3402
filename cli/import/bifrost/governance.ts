/** `governance`: virtual keys → ApiKeys, and budgets and rate limits of keys, teams and customers → Budgets. */
import { minKeyCharacters } from "../../../proxy/config/key-record.ts";
import { decimalText, periodOf, secondsOf } from "../amounts.ts";
import { boundedNumber, maxKeyModels, takeFirst } from "../bounds.ts";
import type { Manifests, Spec } from "../manifests.ts";
import { modelNameFrom, objectNameFrom, subjectFrom } from "../names.ts";
import { markSecret, secretFrom } from "../secret-value.ts";
import type { Setting } from "../setting.ts";
import type { Offer } from "./providers.ts";

/** Bifrost writes a month as 1M and a year as 1Y; 1m is a minute. */
const durationOf = (text: string | undefined): string | undefined => text?.replace(/M$/, "mo").replace(/Y$/, "y");

interface Governance {
  budgets: ReadonlyMap<string, Setting>;
  limits: ReadonlyMap<string, Setting>;
  teams: ReadonlyMap<string, Setting>;
  offers: readonly Offer[];
}

const byId = (list: Setting): Map<string, Setting> =>
  new Map(list.items().map((setting) => [setting.get("id").text ?? "", setting]));

function moneyOf(budget: Setting | undefined): Spec {
  const amount = budget?.get("max_limit");
  const reset = budget?.get("reset_duration");
  const { period, factor, note } = periodOf(durationOf(reset?.text));
  const text = amount?.number === undefined ? null : decimalText(amount.number * factor);
  if (text === null) return {};
  amount?.imported("amount of a Budget");
  reset?.mark(note === "" ? "Imported" : "Changed", ["period of the Budget", note].filter(Boolean).join("; "));
  for (const name of ["id", "current_usage", "last_reset"]) budget?.get(name).imported("Budgets begin at 0");
  return { amount: text, period };
}

/** The sliding window, from a second to a month. */
function windowOf(setting: Setting | undefined): string {
  const seconds = secondsOf(durationOf(setting?.text) ?? "") ?? 60;
  setting?.imported("window of the limit");
  return seconds % 86_400 === 0 && seconds <= 2_678_400
    ? `${seconds / 86_400}d`
    : `${setting === undefined ? 60 : boundedNumber(Math.floor(seconds), 1, 86_400, "window in seconds", setting)}s`;
}

function limitsOf(limit: Setting | undefined): Spec[] {
  const limits: Spec[] = [];
  for (const [what, field] of [
    ["request", "requests"],
    ["token", "tokens"],
  ] as const) {
    const most = limit?.get(`${what}_max_limit`);
    if (most?.number === undefined) continue;
    most.imported(`a limit of ${field}`);
    const count = boundedNumber(
      Math.floor(most.number),
      0,
      field === "tokens" ? 1_000_000_000_000 : 1_000_000_000,
      field,
      most,
    );
    limits.push({ [field]: count, window: windowOf(limit?.get(`${what}_reset_duration`)) });
  }
  for (const name of ["id", "request_current_usage", "token_current_usage", "request_last_reset", "token_last_reset"])
    limit?.get(name).imported("limits begin at 0");
  return limits;
}

/** Models of the providers that the key may use; with *, all that were imported. */
function modelsOf(key: Setting, offers: readonly Offer[]): string[] {
  const models = key
    .get("provider_configs")
    .items()
    .flatMap((setting) => {
      const provider = setting.get("provider").text ?? "";
      setting.get("provider").imported("models");
      setting.get("weight").changed("shares of traffic are those of the keys of the providers");
      const allowed = setting.get("allowed_models");
      const isAny = allowed.texts.length === 0 || allowed.texts.some((name) => name.includes("*"));
      const offered = offers.filter((offer) => offer.provider === provider).map(({ model }) => model);
      allowed.mark(
        isAny ? "Changed" : "Imported",
        isAny ? "models: those of the provider that were imported" : "models",
      );
      return (isAny ? offered : allowed.texts).flatMap((name) => [`${provider}/${name}`, name]);
    });
  const names = [...new Set(models.flatMap((name) => modelNameFrom(name) ?? []))];
  return takeFirst(names, maxKeyModels, "models of an ApiKey", () => key.get("provider_configs"));
}

/** The key's own value, or a new one where it is too weak. Returns the name of the Secret. */
function writeValue(key: Setting, name: string, manifests: Manifests): string {
  const setting = key.get("value");
  const value = secretFrom(setting);
  const secretName = `${objectNameFrom(name)}-llm-key`;
  if (value === null || ("clear" in value && value.clear.length < minKeyCharacters)) {
    setting.changed(`the ApiKey gets a new key: this one is missing, or shorter than ${minKeyCharacters} characters`);
    return secretName;
  }
  const secret = manifests.secret(secretName);
  secret.values.set("apiKey", value);
  markSecret(setting, value, secret.name, "apiKey");
  return secret.name;
}

function addKey(key: Setting, { budgets, limits, teams, offers }: Governance, manifests: Manifests): void {
  const name = key.get("name").text ?? key.get("id").text ?? "virtual-key";
  const team = teams.get(key.get("team_id").text ?? "")?.get("name").text;
  const models = modelsOf(key, offers);
  const own = limitsOf(limits.get(key.get("rate_limit_id").text ?? ""));
  const object = manifests.add("ApiKey", name, {
    user: subjectFrom(name),
    ...(team === undefined ? {} : { team: subjectFrom(team) }),
    ...(models.length === 0 ? {} : { models }),
    ...(own.length === 0 ? {} : { limits: own }),
    ...(key.get("is_active").value === false ? { revoked: true } : {}),
    writeTo: { name: writeValue(key, name, manifests) },
  });
  for (const field of ["id", "name", "description", "is_active", "team_id", "budget_id", "rate_limit_id"])
    key.get(field).imported(`ApiKey ${object.name}`);
  const money = moneyOf(budgets.get(key.get("budget_id").text ?? ""));
  if (Object.keys(money).length > 0)
    manifests.add("Budget", `key-${object.name}`, { ...money, scope: { apiKeys: [object.name] } });
}

export function addGovernance(governance: Setting, offers: readonly Offer[], manifests: Manifests): void {
  const all: Governance = {
    budgets: byId(governance.get("budgets")),
    limits: byId(governance.get("rate_limits")),
    teams: byId(governance.get("teams")),
    offers,
  };
  for (const key of governance.get("virtual_keys").items()) addKey(key, all, manifests);
  for (const team of governance.get("teams").items()) {
    const name = subjectFrom(team.get("name").text ?? "team");
    const money = moneyOf(all.budgets.get(team.get("budget_id").text ?? ""));
    for (const field of ["id", "name", "budget_id"]) team.get(field).imported(`team ${name} of its ApiKeys`);
    if (Object.keys(money).length > 0) manifests.add("Budget", `team-${name}`, { ...money, scope: { teams: [name] } });
  }
}
