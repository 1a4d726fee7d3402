/** Asks the proxies for the data of the pages. Answers are cached briefly, for all viewers. */
import { type Activity, activity } from "../../proxy/config/activity.ts";
import { type BudgetReading, budgetReadings } from "../../proxy/config/budget.ts";
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { type ProxyReading, proxyReading } from "./proxy-report.ts";
import type { ConsoleSource, PublishedState, StatusPortClient } from "./source.ts";

export interface ConsoleFacts extends PublishedState {
  nowMs: number;
  proxies: ProxyReading[];
  activities: Activity[];
}

/** How long an answer is cached, in milliseconds. */
const stateForMs = 900;
const budgetsForMs = 2_500;
const usageForMs = 10_000;
const maxKept = 32;

/** Calls with equal names share a cached answer. */
class Kept<T> {
  readonly #nowMs: () => number;
  readonly #forMs: number;
  readonly #answers = new Map<string, { atMs: number; answer: Promise<T> }>();

  constructor(nowMs: () => number, forMs: number) {
    this.#nowMs = nowMs;
    this.#forMs = forMs;
  }

  get(name: string, ask: () => Promise<T>): Promise<T> {
    const nowMs = this.#nowMs();
    const cached = this.#answers.get(name);
    if (cached !== undefined && nowMs - cached.atMs < this.#forMs) return cached.answer;
    if (this.#answers.size >= maxKept) this.#answers.clear();
    const answer = ask();
    this.#answers.set(name, { atMs: nowMs, answer });
    answer.catch(() => this.#answers.delete(name));
    return answer;
  }
}

const orNothing = (answer: Promise<unknown>): Promise<unknown> => answer.catch(() => null);

/** The same proxy may be reachable at two addresses. */
function distinct<T extends { instance: string }>(all: readonly T[]): T[] {
  return [...new Map(all.map((report) => [report.instance, report])).values()];
}

async function activityAt(proxy: StatusPortClient): Promise<Activity | null> {
  const parsed = activity.safeParse(await orNothing(proxy.get("/requests")));
  return parsed.success ? parsed.data : null;
}

interface UsageAnswer {
  instance: string;
  shared: boolean;
  rows: LedgerRow[];
}

const isUsage = (body: unknown): body is UsageAnswer => Array.isArray((body as { rows?: unknown } | null)?.rows);

/** Proxies that share a store return the same figures, so one answer is enough; others are added up. */
function once<T extends { instance: string; shared: boolean }>(answers: readonly T[]): T[] {
  const shared = answers.find((answer) => answer.shared);
  return shared === undefined ? distinct(answers) : [shared];
}

function addedUp(readings: readonly BudgetReading[]): BudgetReading[] {
  const sums = new Map<string, BudgetReading>();
  for (const reading of readings) {
    const sum = sums.get(reading.id);
    if (sum === undefined || sum.periodStartMs < reading.periodStartMs) sums.set(reading.id, reading);
    else if (sum.periodStartMs === reading.periodStartMs) sums.set(reading.id, plusReading(sum, reading));
  }
  return [...sums.values()];
}

function plusReading(a: BudgetReading, b: BudgetReading): BudgetReading {
  const groups = new Map(a.groups.map((group) => [group.subject, group.spentNanoUsd]));
  for (const { subject, spentNanoUsd } of b.groups) groups.set(subject, (groups.get(subject) ?? 0) + spentNanoUsd);
  return {
    ...a,
    spentNanoUsd: a.spentNanoUsd + b.spentNanoUsd,
    groupCount: Math.max(a.groupCount, b.groupCount, groups.size),
    groups: [...groups].map(([subject, spentNanoUsd]) => ({ subject, spentNanoUsd })),
    refused: [...new Set([...a.refused, ...b.refused])],
  };
}

export class Gatherer {
  readonly #source: ConsoleSource;
  readonly #nowMs: () => number;
  readonly #facts: Kept<ConsoleFacts>;
  readonly #budgets: Kept<BudgetReading[]>;
  readonly #usage: Kept<LedgerRow[]>;

  constructor(source: ConsoleSource, nowMs: () => number) {
    this.#source = source;
    this.#nowMs = nowMs;
    this.#facts = new Kept(nowMs, stateForMs);
    this.#budgets = new Kept(nowMs, budgetsForMs);
    this.#usage = new Kept(nowMs, usageForMs);
  }

  facts(): Promise<ConsoleFacts> {
    return this.#facts.get("", async () => {
      const [published, ports] = await Promise.all([this.#source.read(), this.#source.proxies()]);
      const [proxies, activities] = await Promise.all([
        Promise.all(ports.map(async (port) => proxyReading(port.name, await orNothing(port.get("/status"))))),
        Promise.all(ports.map(activityAt)),
      ]);
      const known = distinct(activities.filter((activity) => activity !== null));
      return { ...published, nowMs: this.#nowMs(), proxies, activities: known };
    });
  }

  budgets(): Promise<BudgetReading[]> {
    return this.#budgets.get("", async () => {
      const ports = await this.#source.proxies();
      const bodies = await Promise.all(ports.map((port) => orNothing(port.get("/budgets"))));
      const answers = bodies.flatMap((body) => budgetReadings.safeParse(body).data ?? []);
      return addedUp(once(answers).flatMap(({ budgets }) => budgets));
    });
  }

  /** Rows of the usage ledger. The range is widened to whole hours. */
  usage(fromMs: number, toMs: number): Promise<LedgerRow[]> {
    const hourMs = 3_600_000;
    const from = new Date(Math.floor(fromMs / hourMs) * hourMs).toISOString();
    const to = new Date(Math.ceil(toMs / hourMs) * hourMs).toISOString();
    return this.#usage.get(`${from} ${to}`, async () => {
      const ports = await this.#source.proxies();
      const query = new URLSearchParams({ from, to }).toString();
      const bodies = await Promise.all(ports.map((port) => orNothing(port.get(`/usage?${query}`))));
      return once(bodies.filter(isUsage)).flatMap(({ rows }) => rows);
    });
  }
}
