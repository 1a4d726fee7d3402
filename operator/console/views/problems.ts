/** Current problems, the most urgent first. */
import type { BudgetReading } from "../../../proxy/config/budget.ts";
import type { KeyRecord } from "../../../proxy/config/key-record.ts";
import type { ConsoleFacts } from "../gather.ts";
import { seriesOf, sumTraffic } from "../statistics.ts";
import { seesObject, type Viewer } from "../viewer.ts";
import { budgetView } from "./budgets.ts";
import { type AuditRow, auditRows } from "./compliance.ts";
import { objectState } from "./conditions.ts";

export interface ConsoleProblem {
  severity: "error" | "warning";
  /** The object, such as `Budget team-a/monthly`. */
  about: string;
  /** The page with details. */
  page: string;
  message: string;
  since: string | null;
}

const dayMs = 86_400_000;
const soonMs = 14 * dayMs;
const recentMs = 300_000;
const enoughCalls = 20;
const badShare = 0.05;
const maxProblems = 50;

const pages: Readonly<Record<string, string>> = {
  LLMProvider: "providers",
  RoutingPolicy: "routes",
  Budget: "budgets",
  ApiKey: "keys",
};

function ofObjects(facts: ConsoleFacts, viewer: Viewer): ConsoleProblem[] {
  return facts.objects.flatMap((object): ConsoleProblem[] => {
    if (!viewer.sees(object.kind, object.meta.namespace)) return [];
    const { kind, id, state, why, since } = objectState(object);
    if (state !== "failed" && state !== "degraded") return [];
    const severity = state === "failed" ? "error" : "warning";
    return [{ severity, about: `${kind} ${id}`, page: pages[kind] ?? "config", message: why, since }];
  });
}

function ofProxies({ proxies, revision }: ConsoleFacts): ConsoleProblem[] {
  const problem = (
    name: string,
    message: string,
    severity: ConsoleProblem["severity"],
    since: string | null = null,
  ) => ({
    severity,
    about: `Proxy ${name}`,
    page: "config",
    message,
    since,
  });
  const each = proxies.flatMap(({ name, report }): ConsoleProblem[] => {
    if (report === null) return [problem(name, "does not answer on its status port", "error")];
    if (report.rejected !== null)
      return [problem(name, `does not accept the config: ${report.rejected.reason}`, "error", report.rejected.since)];
    if (report.damagedState !== undefined)
      return [problem(name, `parts of its state file can't be read: ${report.damagedState}`, "error")];
    if (revision !== "" && report.revision !== revision && !report.draining)
      return [problem(name, `is at revision ${report.revision ?? "none"}, not at ${revision}`, "warning")];
    return [];
  });
  const none = {
    severity: "error",
    about: "Proxies",
    page: "config",
    message: "no proxy is ready",
    since: null,
  } as const;
  return proxies.length === 0 ? [none] : each;
}

const auditMessages: Readonly<Record<AuditRow["state"], (row: AuditRow) => string>> = {
  writing: () => "",
  failing: ({ name, waiting }) => `can't write audit records to ${name}; ${waiting} wait`,
  behind: ({ name, lagMs }) => `is ${Math.round(lagMs / 1000)} s behind with audit records to ${name}`,
  "lost records": ({ name, dropped }) => `lost ${dropped} audit records on the way to ${name}`,
};

function ofAudit(facts: ConsoleFacts): ConsoleProblem[] {
  return auditRows(facts).flatMap((row): ConsoleProblem[] => {
    if (row.state === "writing") return [];
    const severity = row.state === "failing" ? "error" : "warning";
    const message = auditMessages[row.state](row);
    return [{ severity, about: `Proxy ${row.proxy}`, page: "compliance", message, since: null }];
  });
}

function ofTraffic({ activities, nowMs }: ConsoleFacts, viewer: Viewer): ConsoleProblem[] {
  const calls = seriesOf(activities, "call").filter(
    ({ route }) => route !== "" && seesObject(viewer, "RoutingPolicy", route),
  );
  return [...Map.groupBy(calls, ({ route }) => route)].flatMap(([route, series]): ConsoleProblem[] => {
    const sum = sumTraffic(series, nowMs, recentMs);
    if (sum.calls < enoughCalls || sum.errors / sum.calls < badShare) return [];
    const share = Math.round((100 * sum.errors) / sum.calls);
    const message = `${share} % of its calls failed in the last five minutes (${sum.errors} of ${sum.calls})`;
    return [{ severity: "error", about: `RoutingPolicy ${route}`, page: "routes", message, since: null }];
  });
}

function ofBudgets(facts: ConsoleFacts, readings: readonly BudgetReading[], viewer: Viewer): ConsoleProblem[] {
  return (facts.config?.budgets ?? []).flatMap((config): ConsoleProblem[] => {
    const reading = readings.find(({ id }) => id === config.id);
    if (!seesObject(viewer, "Budget", config.id) || reading === undefined) return [];
    const { state, emptyAtMs } = budgetView(config, reading, [], facts.nowMs);
    const about = `Budget ${config.id}`;
    if (state === "used up") {
      const refuses =
        config.enforcement === "Hard" ? "calls under it are refused" : "calls go on, since it is not hard";
      return [{ severity: "error", about, page: "budgets", message: `is used up; ${refuses}`, since: null }];
    }
    if (state !== "ahead" || emptyAtMs === null) return [];
    const message = `is used up by ${new Date(emptyAtMs).toISOString().slice(0, 16).replace("T", " ")} UTC at this pace, before its period ends`;
    return [{ severity: "warning", about, page: "budgets", message, since: null }];
  });
}

function keyProblem({ id, expiresAtMs, revoked }: KeyRecord, nowMs: number): ConsoleProblem[] {
  if (revoked || expiresAtMs === null || expiresAtMs < nowMs || expiresAtMs > nowMs + soonMs) return [];
  const days = Math.ceil((expiresAtMs - nowMs) / dayMs);
  const message = `expires in ${days} ${days === 1 ? "day" : "days"}`;
  return [{ severity: "warning", about: `ApiKey ${id}`, page: "keys", message, since: null }];
}

function ofSunsets({ config, nowMs }: ConsoleFacts, viewer: Viewer): ConsoleProblem[] {
  return (config?.providers ?? []).flatMap(({ id, models }) => {
    if (!seesObject(viewer, "LLMProvider", id)) return [];
    return Object.entries(models).flatMap(([name, { sunset }]): ConsoleProblem[] => {
      const sunsetMs = Date.parse(sunset ?? "");
      if (Number.isNaN(sunsetMs) || sunsetMs > nowMs + 2 * soonMs) return [];
      const when = sunsetMs <= nowMs ? "was retired" : "is retired";
      const message = `model ${name} ${when} by its provider on ${sunset}`;
      return [{ severity: "warning", about: `LLMProvider ${id}`, page: "providers", message, since: null }];
    });
  });
}

export function problemsNow(facts: ConsoleFacts, readings: readonly BudgetReading[], viewer: Viewer): ConsoleProblem[] {
  const keys = (facts.config?.keys ?? []).filter(({ id }) => seesObject(viewer, "ApiKey", id));
  const budgets = ofBudgets(facts, readings, viewer);
  const covered = new Set(budgets.map(({ about }) => about));
  const all = [
    ...ofProxies(facts),
    ...ofAudit(facts),
    ...budgets,
    ...ofTraffic(facts, viewer),
    ...ofObjects(facts, viewer).filter(({ about }) => !covered.has(about)),
    ...ofSunsets(facts, viewer),
    ...keys.flatMap((key) => keyProblem(key, facts.nowMs)),
  ];
  return [
    ...all.filter((problem) => problem.severity === "error"),
    ...all.filter((problem) => problem.severity === "warning"),
  ].slice(0, maxProblems);
}
