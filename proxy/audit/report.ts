/** What a compliance officer asks of a span of time, from audit records alone. Pure. */

export interface ComplianceMonth {
  /** `2027-02`, or "total". */
  month: string;
  requests: number;
  allowed: number;
  refused: number;
  /** 401: nobody knows who it was. */
  unauthorised: number;
  /** 403: known, and not allowed. */
  forbidden: number;
  /** For the country that they came from. */
  geoBlocked: number;
  withoutConsent: number;
  promptsDenied: number;
  limited: number;
  /** Personal data that was found and masked, by type. */
  masked: Record<string, number>;
  inputTokens: number;
  outputTokens: number;
  costNanoUsd: number;
  users: Set<string>;
  models: Set<string>;
  /** `provider (region)`: where requests went. */
  destinations: Map<string, number>;
}

const geo: ReadonlySet<unknown> = new Set(["country_not_allowed", "country_unknown"]);
const limits: ReadonlySet<unknown> = new Set(["rate_limit_exceeded", "budget_exceeded"]);

export const emptyMonth = (month: string): ComplianceMonth => ({
  ...{ month, requests: 0, allowed: 0, refused: 0, unauthorised: 0, forbidden: 0, geoBlocked: 0, withoutConsent: 0, promptsDenied: 0, limited: 0 },
  ...{ masked: {}, inputTokens: 0, outputTokens: 0, costNanoUsd: 0, users: new Set(), models: new Set(), destinations: new Map() },
});

const number = (value: unknown): number => (typeof value === "number" ? value : 0);
const text = (value: unknown): string => (typeof value === "string" ? value : "");

function addRefusal(month: ComplianceMonth, status: unknown, code: unknown): void {
  if (status === 401) month.unauthorised++;
  if (geo.has(code)) month.geoBlocked++;
  else if (code === "consent_required") month.withoutConsent++;
  else if (status === 403) month.forbidden++;
  if (code === "prompt_denied" || code === "prompt_too_large" || code === "prompt_unreadable") month.promptsDenied++;
  if (limits.has(code)) month.limited++;
}

/** Adds a record of type `call`. */
export function addCall(month: ComplianceMonth, record: Readonly<Record<string, unknown>>): void {
  month.requests++;
  const { decision, status, code } = record;
  if (decision === "deny") {
    month.refused++;
    addRefusal(month, status, code);
  } else month.allowed++;
  const masked = record["masked"];
  if (masked !== null && typeof masked === "object")
    for (const [type, count] of Object.entries(masked)) month.masked[type] = (month.masked[type] ?? 0) + number(count);
  month.inputTokens += number(record["input_tokens"]);
  month.outputTokens += number(record["output_tokens"]);
  month.costNanoUsd += number(record["cost_nano_usd"]);
  const [user, model, provider, region] = [text(record["user"]), text(record["model"]), text(record["provider"]), text(record["region"])];
  if (user !== "") month.users.add(`${text(record["key"]).split("/", 1)[0] ?? ""}/${user}`);
  if (model !== "") month.models.add(model);
  if (provider === "") return;
  const where = region === "" ? provider : `${provider} (${region})`;
  month.destinations.set(where, (month.destinations.get(where) ?? 0) + 1);
}
