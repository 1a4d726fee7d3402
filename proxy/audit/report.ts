/** What a compliance officer asks about a period, computed from audit records alone. Pure. */
import type { Link } from "./chain.ts";
import { Once } from "./once.ts";

export interface ComplianceMonth {
  /** `2027-02`, or "total". */
  month: string;
  requests: number;
  allowed: number;
  refused: number;
  /** 401: the caller is unknown. */
  unauthorised: number;
  /** 403: the caller is known, and not allowed. */
  forbidden: number;
  /** Refused because of the caller's country. */
  geoBlocked: number;
  withoutConsent: number;
  promptsDenied: number;
  limited: number;
  /** Begun and not ended in these records: under way, or cut off with the process. Only for policies with `required`. */
  unfinished: number;
  /** Personal data that was found and masked, by type. */
  masked: Record<string, number>;
  inputTokens: number;
  outputTokens: number;
  costNanoUsd: bigint;
  users: Set<string>;
  models: Set<string>;
  /** `provider (region)`: where requests went. */
  destinations: Map<string, number>;
}

const geo: ReadonlySet<unknown> = new Set(["country_not_allowed", "country_unknown"]);
const limits: ReadonlySet<unknown> = new Set(["rate_limit_exceeded", "budget_exceeded", "session_time_exceeded"]);

const emptyMonth = (month: string): ComplianceMonth => ({
  ...{
    month,
    requests: 0,
    allowed: 0,
    refused: 0,
    unauthorised: 0,
    forbidden: 0,
    geoBlocked: 0,
    withoutConsent: 0,
    promptsDenied: 0,
    limited: 0,
    unfinished: 0,
  },
  ...{
    masked: {},
    inputTokens: 0,
    outputTokens: 0,
    costNanoUsd: 0n,
    users: new Set(),
    models: new Set(),
    destinations: new Map(),
  },
});

const number = (value: unknown): number => (typeof value === "number" ? value : 0);
const nanoUsd = (value: unknown): bigint => (Number.isInteger(value) ? BigInt(value as number) : 0n);
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
function addCall(month: ComplianceMonth, record: Readonly<Record<string, unknown>>): void {
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
  month.costNanoUsd += nanoUsd(record["cost_nano_usd"]);
  const [user, model, provider, region] = [
    text(record["user"]),
    text(record["model"]),
    text(record["provider"]),
    text(record["region"]),
  ];
  if (user !== "") month.users.add(`${text(record["key"]).split("/", 1)[0] ?? ""}/${user}`);
  if (model !== "") month.models.add(model);
  if (provider === "") return;
  const where = region === "" ? provider : `${provider} (${region})`;
  month.destinations.set(where, (month.destinations.get(where) ?? 0) + 1);
}

/** Calls that began and have not ended, by the month in which they began. */
class Begun {
  readonly #months = new Map<string, string[]>();

  add({ chain, type, record }: Link, month: string | null): void {
    const id = `${chain}/${text(record["request_id"])}`;
    const open = this.#months.get(id) ?? [];
    if (type === "call") open.shift();
    else if (month !== null) open.push(month);
    if (open.length === 0) this.#months.delete(id);
    else this.#months.set(id, open);
  }

  months(): string[] {
    return [...this.#months.values()].flat();
  }
}

export class ComplianceReport {
  readonly #fromMs: number;
  readonly #toMs: number;
  readonly #byMonth = new Map<string, ComplianceMonth>();
  readonly #total = emptyMonth("total");
  readonly #once = new Once();
  readonly #begun = new Begun();

  /** Epoch milliseconds; `toMs` is exclusive. */
  constructor(fromMs: number, toMs: number) {
    this.#fromMs = fromMs;
    this.#toMs = toMs;
  }

  #month(name: string): ComplianceMonth {
    const month = this.#byMonth.get(name) ?? emptyMonth(name);
    this.#byMonth.set(name, month);
    return month;
  }

  add(link: Link): void {
    if ((link.type !== "call" && link.type !== "begun") || !this.#once.take(link.chain, link.seq)) return;
    const time = text(link.record["time"]);
    const timeMs = Date.parse(time);
    const name = timeMs >= this.#fromMs && timeMs < this.#toMs ? time.slice(0, 7) : null;
    this.#begun.add(link, name);
    if (link.type !== "call" || name === null) return;
    addCall(this.#month(name), link.record);
    addCall(this.#total, link.record);
  }

  /** Months in order, then the total. Call it once, after the last record. */
  end(): ComplianceMonth[] {
    for (const name of this.#begun.months()) {
      this.#month(name).unfinished++;
      this.#total.unfinished++;
    }
    return [...[...this.#byMonth.values()].sort((a, b) => (a.month < b.month ? -1 : 1)), this.#total];
  }
}
