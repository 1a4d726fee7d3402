/** Rows of LiteLLM's tables: JSON from its API or the database, or CSV from Postgres. */
import type { Setting } from "../setting.ts";

export type Table = "keys" | "teams" | "users" | "budgets";

const byName: readonly (readonly [RegExp, Table])[] = [
  [/verificationtoken|^keys$/i, "keys"],
  [/teamtable|^teams$/i, "teams"],
  [/usertable|^users$/i, "users"],
  [/budgettable|^budgets$/i, "budgets"],
];

/** Recognises a table by columns that only it has. */
function tableOf(row: Setting): Table | null {
  const has = (...columns: string[]): boolean => columns.some((column) => row.get(column).value !== undefined);
  if (has("token", "key_name", "key_alias", "key")) return "keys";
  if (has("user_role", "user_email", "sso_user_id", "user_alias")) return "users";
  if (has("team_alias", "members_with_roles", "members", "admins") && has("team_id")) return "teams";
  if (has("budget_id")) return "budgets";
  if (has("team_id")) return "teams";
  return has("user_id") ? "users" : null;
}

export type Rows = Record<Table, Setting[]>;

function collect(setting: Setting, table: Table | null, rows: Rows): void {
  if (Array.isArray(setting.value)) {
    for (const row of setting.items()) collect(row, table, rows);
    return;
  }
  const named = setting
    .entries()
    .flatMap(([name, below]) =>
      byName.flatMap(([pattern, known]) =>
        pattern.test(name) && Array.isArray(below.value) ? [[below, known] as const] : [],
      ),
    );
  // Teams from the API include their keys and members.
  const own = table ?? (named.length > 0 && !setting.get("team_id").isSet ? null : tableOf(setting));
  if (own !== null) rows[own].push(setting);
  else for (const [below, known] of named) collect(below, known, rows);
}

export function rowsOf(documents: readonly Setting[]): Rows {
  const rows: Rows = { keys: [], teams: [], users: [], budgets: [] };
  for (const document of documents) collect(document, null, rows);
  return rows;
}

/** A list: of JSON, JSON within text, or Postgres' `{a,"b c"}`. */
export function listIn(setting: Setting): string[] {
  const { text } = setting;
  if (text === undefined) return setting.texts;
  if (text.startsWith("[")) {
    try {
      const value = JSON.parse(text) as unknown;
      return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
    } catch {
      return [];
    }
  }
  if (!/^\{.*\}$/s.test(text)) return [text];
  return [...text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(([, quoted, plain = ""]) =>
    quoted === undefined ? plain : quoted.replace(/\\(.)/g, "$1"),
  );
}
