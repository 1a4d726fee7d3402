/** Data protection by policies, and what was masked and refused since the proxies started. */
import { nounCount } from "../../../proxy/config/noun-count.ts";
import type { RouteConfig } from "../../../proxy/config/route.ts";
import type { ConsoleFacts } from "../gather.ts";
import type { AuditSinkReading } from "../proxy-report.ts";
import { seesObject, seesUsage, type Viewer } from "../viewer.ts";

export interface ComplianceRow {
  id: string;
  /** Types of personal data that are masked; null if none are. */
  masks: string[] | null;
  masksAnswers: boolean;
  patterns: number;
  regions: string[] | null;
  /** Regions of its targets' providers, as far as they are known. */
  targetRegions: string[];
  audit: "required" | "with bodies" | "default";
  logsBodies: boolean;
  anonymous: boolean;
  limits: string[];
}

/** One destination of one proxy's audit records. */
export interface AuditRow extends AuditSinkReading {
  proxy: string;
  state: "writing" | "behind" | "failing" | "lost records";
}

export interface ComplianceView {
  policies: ComplianceRow[];
  audit: AuditRow[];
  /** Proxies that write no audit log. */
  withoutAudit: string[];
  masked: { type: string; values: number }[];
  refusals: { code: string; calls: number }[];
  /** When the longest-running proxy began to count; null if there are no proxies. */
  sinceMs: number | null;
}

function limitsOf({ access }: RouteConfig): string[] {
  const { countries, hours, consent, networks, roles, teams, tags } = access;
  return [
    ...(networks === null ? [] : [nounCount(networks.length, "network")]),
    ...(countries === null
      ? []
      : [
          `countries ${[...(countries.allow ?? []), ...(countries.deny ?? []).map((code) => `not ${code}`)].join(", ")}`,
        ]),
    ...(hours === null ? [] : ["hours"]),
    ...(consent === null ? [] : [`consent in ${consent.header}`]),
    ...(roles === null ? [] : [`roles ${roles.join(", ")}`]),
    ...(teams === null ? [] : [`teams ${teams.join(", ")}`]),
    ...(tags === null ? [] : [`tags ${tags.join(", ")}`]),
  ];
}

function complianceRow(config: RouteConfig, regionOf: ReadonlyMap<string, string | null>): ComplianceRow {
  const mask = config.guard?.mask ?? null;
  const { audit } = config;
  return {
    id: config.id,
    masks: mask === null ? null : [...mask.detect, ...mask.custom.map(({ name }) => name)],
    masksAnswers: mask?.answers ?? false,
    patterns: (config.guard?.deny.length ?? 0) + (config.guard?.allow?.length ?? 0),
    regions: config.access.regions,
    targetRegions: [
      ...new Set(
        [...config.routing.targets, ...(config.shadow === undefined ? [] : [config.shadow.target])].flatMap(
          ({ provider }) => regionOf.get(provider) ?? [],
        ),
      ),
    ],
    audit: audit.required ? "required" : audit.bodies ? "with bodies" : "default",
    logsBodies: config.logging.payloads,
    anonymous: config.access.anonymous,
    limits: limitsOf(config),
  };
}

/** A sink writes in batches, several a second. */
const behindMs = 30_000;

function auditState({ dropped, failing, lagMs }: AuditSinkReading): AuditRow["state"] {
  if (failing) return "failing";
  if (lagMs >= behindMs) return "behind";
  return dropped > 0 ? "lost records" : "writing";
}

export const auditRows = ({ proxies }: Pick<ConsoleFacts, "proxies">): AuditRow[] =>
  proxies.flatMap(({ name, report }) =>
    (report?.audit ?? []).map((sink) => ({ ...sink, proxy: name, state: auditState(sink) })),
  );

function counted(all: readonly Readonly<Record<string, number>>[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const counts of all)
    for (const [name, count] of Object.entries(counts)) sums.set(name, (sums.get(name) ?? 0) + count);
  return [...sums].sort(([, a], [, b]) => b - a);
}

export function complianceView(facts: ConsoleFacts, viewer: Viewer): ComplianceView {
  const marks = facts.activities
    .flatMap((activity) => activity.marks)
    .filter(({ namespace }) => seesUsage(viewer, namespace));
  const regions = new Map(
    (facts.config?.providers ?? [])
      .filter(({ id }) => seesObject(viewer, "LLMProvider", id))
      .map(({ id, region }) => [id, region]),
  );
  const starts = facts.activities.map(({ startedMs }) => startedMs);
  return {
    policies: (facts.config?.routes ?? [])
      .filter(({ id }) => seesObject(viewer, "RoutingPolicy", id))
      .map((config) => complianceRow(config, regions)),
    audit: auditRows(facts),
    withoutAudit: facts.proxies.filter(({ report }) => report?.audit === null).map(({ name }) => name),
    masked: counted(marks.map(({ masked }) => masked)).map(([type, values]) => ({ type, values })),
    refusals: counted(marks.map(({ failures }) => failures)).map(([code, calls]) => ({ code, calls })),
    sinceMs: starts.length === 0 ? null : Math.min(...starts),
  };
}
