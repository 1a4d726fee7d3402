/** Rows of LiteLLM's tables → ApiKeys and Budgets. */
import { maxKeyModels, maxTags, takeFirst } from "../bounds.ts";
import type { Manifests, Spec } from "../manifests.ts";
import { modelNameFrom, subjectFrom } from "../names.ts";
import type { Setting } from "../setting.ts";
import { amountOf, limitsOf, thresholdsOf } from "./budgets.ts";
import { keyName, writeKey } from "./keys.ts";
import { listIn, type Rows, rowsOf } from "./rows.ts";

interface Tables extends Rows {
  teamById: ReadonlyMap<string, Setting>;
  userById: ReadonlyMap<string, Setting>;
  budgetById: ReadonlyMap<string, Setting>;
}

const indexBy = (rows: readonly Setting[], column: string): Map<string, Setting> =>
  new Map(rows.flatMap((row) => (row.get(column).text === undefined ? [] : [[row.get(column).text ?? "", row]])));

function teamName(row: Setting): string {
  return subjectFrom(row.get("team_alias").text || row.get("team_id").text || "unnamed");
}

function userName(row: Setting): string {
  return subjectFrom(row.get("user_email").text || row.get("user_id").text || "unnamed");
}

/** Values that stand for all models, or all of the team's. */
const anyModel: ReadonlySet<string> = new Set(["all-proxy-models", "all-team-models", "*"]);

/** Models that a key may call; undefined for all. */
function modelsOf(row: Setting, team: Setting | undefined): string[] | undefined {
  const own = row.get("models");
  const named = listIn(own);
  const inherits = named.length === 0 || named.some((name) => anyModel.has(name));
  const models = inherits && team !== undefined ? listIn(team.get("models")) : named;
  if (models.some((name) => anyModel.has(name)) || models.length === 0) {
    own.imported("every model that the policies allow");
    return undefined;
  }
  const names = models.filter((name) => !name.includes("*")).flatMap((name) => modelNameFrom(name) ?? []);
  if (names.length < models.length) own.changed("model patterns have no counterpart: models lists names");
  else own.imported("models");
  return takeFirst(names, maxKeyModels, "models of an ApiKey", () => own);
}

const roles: Readonly<Record<string, string>> = {
  proxy_admin: "admin",
  proxy_admin_viewer: "readonly",
  internal_user: "developer",
  internal_user_viewer: "readonly",
};

/** Limits of a row and of the budget that it names. */
function limitsOfRow(row: Setting, budget: Setting | undefined): Spec[] {
  const place = (name: string): Setting =>
    row.get(name).isSet || budget === undefined ? row.get(name) : budget.get(name);
  return limitsOf({
    requests: place("rpm_limit"),
    tokens: place("tpm_limit"),
    concurrency: place("max_parallel_requests"),
  });
}

function moneyOf(row: Setting, budget: Setting | undefined): Spec | null {
  const from = row.get("max_budget").isSet || budget === undefined ? row : budget;
  const [amount, duration] = [from.get("max_budget"), from.get("budget_duration")];
  const money = amountOf(amount, duration);
  return money === null ? null : { ...money, ...thresholdsOf(from.get("soft_budget"), amount) };
}

const expiresAt = (setting: Setting): Spec => {
  const time = setting.text === undefined ? Number.NaN : Date.parse(zoned(setting.text));
  if (Number.isNaN(time)) return {};
  setting.imported("expiresAt");
  return { expiresAt: new Date(time).toISOString().replace(".000Z", "Z") };
};

/** Postgres writes UTC times without a zone. */
const zoned = (text: string): string =>
  /(Z|[+-][0-9]{2}(:?[0-9]{2})?)$/i.test(text)
    ? text.replace(/([+-][0-9]{2})$/, "$1:00")
    : `${text.replace(" ", "T")}Z`;

function callerOf(
  row: Setting,
  { teamById, userById }: Tables,
): { user: string; team?: string; role: string; teamRow: Setting | undefined } {
  const userRow = userById.get(row.get("user_id").text ?? "");
  const teamRow = teamById.get(row.get("team_id").text ?? "");
  const user = userRow === undefined ? subjectFrom(row.get("user_id").text || keyName(row)) : userName(userRow);
  const team = teamRow === undefined ? row.get("team_id").text : teamName(teamRow);
  row.get("user_id").imported("user");
  row.get("team_id").imported("team");
  return {
    user,
    ...(team === undefined || team === "" ? {} : { team: subjectFrom(team) }),
    role: roles[userRow?.get("user_role").text ?? ""] ?? "developer",
    teamRow,
  };
}

function tagsOf(row: Setting): Spec {
  const metadata = row.get("metadata");
  let tags = metadata.get("tags").texts;
  if (metadata.text?.startsWith("{") === true)
    tags =
      listIn(metadata).length === 0
        ? []
        : [...(/"tags"\s*:\s*\[([^\]]*)\]/.exec(metadata.text)?.[1]?.matchAll(/"([^"]+)"/g) ?? [])].map(
            ([, tag = ""]) => tag,
          );
  const names = takeFirst([...new Set(tags.map(subjectFrom))], maxTags, "tags of an ApiKey", () => metadata);
  if (names.length > 0) metadata.changed("its tags are tags; the rest has no counterpart");
  return names.length === 0 ? {} : { tags: names };
}

function addKey(row: Setting, tables: Tables, manifests: Manifests, alerts: Spec): void {
  const { teamRow, role, ...caller } = callerOf(row, tables);
  const budget = tables.budgetById.get(row.get("budget_id").text ?? "");
  if (budget !== undefined) row.get("budget_id").imported("its limits and amount");
  const models = modelsOf(row, teamRow);
  const limits = limitsOfRow(row, budget);
  const blocked = row.get("blocked").isTrue || teamRow?.get("blocked").isTrue === true;
  row.get("blocked").imported("revoked");
  if (models?.length === 0) {
    row.notImported("it may call no model by name");
    return;
  }
  const key = manifests.add("ApiKey", keyName(row), {
    ...caller,
    ...(role === "developer" ? {} : { role }),
    ...tagsOf(row),
    ...(models === undefined ? {} : { models }),
    ...(limits.length === 0 ? {} : { limits }),
    ...expiresAt(row.get("expires")),
    ...(blocked ? { revoked: true } : {}),
  });
  writeKey(row, key, manifests);
  row.get("key_alias").imported(`ApiKey ${key.name}`);
  const money = moneyOf(row, budget);
  if (money !== null)
    manifests.add("Budget", `key-${key.name}`, { ...money, scope: { apiKeys: [key.name] }, ...alerts });
}

function addScope(row: Setting, tables: Tables, kind: "team" | "user", manifests: Manifests, alerts: Spec): void {
  const name = kind === "team" ? teamName(row) : userName(row);
  const scope = kind === "team" ? { teams: [name] } : { users: [name] };
  const budget = tables.budgetById.get(row.get("budget_id").text ?? "");
  const money = moneyOf(row, budget);
  const limits = limitsOfRow(row, budget);
  for (const column of kind === "team"
    ? ["team_id", "team_alias", "models", "blocked"]
    : ["user_id", "user_email", "user_role"])
    row.get(column).imported(`${kind} ${name} of its ApiKeys`);
  if (money === null && limits.length === 0) return;
  manifests.add("Budget", `${kind}-${name}`, {
    ...money,
    scope,
    ...(limits.length === 0 ? {} : { limits }),
    ...(money === null ? {} : alerts),
  });
}

const bookkeeping =
  /^(created_(at|by)|updated_(at|by)|last_(active|used)(_at)?|budget_reset_at|rotation_count|auto_rotate|rotation_interval|last_rotation_at|key_rotation_at|soft_budget_cooldown|settings_updated_at|key_name)$/;

/** Marks the remaining columns: bookkeeping and past spending. */
function markRest(row: Setting): void {
  for (const [name, setting] of row.entries()) {
    if (bookkeeping.test(name)) setting.mark("NotImported", "bookkeeping");
    else if (/spend$/.test(name))
      setting.mark("NotImported", "Budgets begin at 0: what was spent before isn't carried over");
    else if (setting.value === false || setting.text === "f") setting.mark("Imported", "off");
  }
}

export function addTables(documents: readonly Setting[], manifests: Manifests, alerts: Spec): void {
  const rows = rowsOf(documents);
  const tables: Tables = {
    ...rows,
    teamById: indexBy(rows.teams, "team_id"),
    userById: indexBy(rows.users, "user_id"),
    budgetById: indexBy(rows.budgets, "budget_id"),
  };
  for (const row of rows.keys) addKey(row, tables, manifests, alerts);
  for (const row of rows.teams) addScope(row, tables, "team", manifests, alerts);
  for (const row of rows.users) addScope(row, tables, "user", manifests, alerts);
  for (const row of rows.budgets) row.get("budget_id").imported("amounts and limits of what names it");
  for (const row of [...rows.keys, ...rows.teams, ...rows.users, ...rows.budgets]) markRest(row);
}
