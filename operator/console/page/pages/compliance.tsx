import type { AuditRow, ComplianceRow, ComplianceView } from "../../views/compliance.ts";
import { useAnswer } from "../data.ts";
import { ago, roundedDuration, wholeNumber } from "../format.ts";
import { Badge, Card, type Column, Empty, Name, Table } from "../parts.tsx";
import { type PageProps, questionOf } from "./page.ts";
import { Waiting } from "./waiting.tsx";

const columns: readonly Column<ComplianceRow>[] = [
  { name: "Policy", cell: ({ id }) => <Name id={id} /> },
  {
    name: "Masks",
    cell: ({ masks, masksAnswers }) =>
      masks === null ? "–" : `${masks.join(", ")}${masksAnswers ? ", answers too" : ""}`,
  },
  { name: "Prompt patterns", number: true, cell: ({ patterns }) => (patterns === 0 ? "–" : patterns) },
  { name: "Data stays in", cell: ({ regions }) => regions?.join(", ") ?? "–" },
  { name: "Providers are in", cell: ({ targetRegions }) => targetRegions.join(", ") || "–" },
  { name: "Audit", cell: ({ audit }) => (audit === "default" ? "–" : audit) },
  {
    name: "Access limited by",
    cell: ({ limits, anonymous }) => (anonymous ? <Badge text="open to all" tone="warn" /> : limits.join("; ") || "–"),
  },
  { name: "Bodies logged", cell: ({ logsBodies }) => (logsBodies ? <Badge text="yes" tone="warn" /> : "no") },
];

const auditTones: Readonly<Record<AuditRow["state"], string>> = {
  writing: "good",
  behind: "warn",
  failing: "bad",
  "lost records": "bad",
};

const auditColumns: readonly Column<AuditRow>[] = [
  { name: "Proxy", cell: ({ proxy }) => <span class="mono">{proxy}</span> },
  { name: "Records go to", cell: ({ name }) => name },
  { name: "State", cell: ({ state }) => <Badge text={state} tone={auditTones[state]} /> },
  { name: "Survives a crash", cell: ({ durable }) => (durable ? "yes" : "–") },
  { name: "Waiting", number: true, cell: ({ waiting }) => wholeNumber(waiting) },
  { name: "Lag", number: true, cell: ({ lagMs }) => (lagMs < 1000 ? "–" : roundedDuration(lagMs)) },
  { name: "Lost", number: true, cell: ({ dropped }) => wholeNumber(dropped) },
  { name: "Failed writes", number: true, cell: ({ failures }) => wholeNumber(failures) },
];

function Audit({ audit, withoutAudit }: ComplianceView) {
  return (
    <Card title="Audit log" aside={<span class="quiet-text">since the proxies started</span>}>
      {audit.length === 0 ? (
        <Empty title="No audit log">Set audit.file, audit.redis or audit.otlp to have the proxies write one.</Empty>
      ) : (
        <Table label="Audit log" columns={auditColumns} rows={audit} rowKey={({ proxy, name }) => `${proxy} ${name}`} />
      )}
      {audit.length > 0 && withoutAudit.length > 0 && (
        <p class="bad-text">Without an audit log: {withoutAudit.join(", ")}</p>
      )}
    </Card>
  );
}

function Counts({ rows, none }: { rows: readonly (readonly [string, number])[]; none: string }) {
  if (rows.length === 0) return <Empty title={none} />;
  return (
    <dl class="counts">
      {rows.map(([name, count]) => (
        <div key={name}>
          <dt class="mono">{name}</dt>
          <dd>{wholeNumber(count)}</dd>
        </div>
      ))}
    </dl>
  );
}

export function CompliancePage({ namespace, lost }: PageProps) {
  const answer = useAnswer<ComplianceView>(questionOf("compliance", { namespace }), lost);
  const { data } = answer;
  if (data === null) return <Waiting failure={answer.failure} />;
  const since = data.sinceMs === null ? "" : `since the proxies started, ${ago(data.sinceMs, Date.now())}`;
  return (
    <>
      <Card title="What each policy does">
        {data.policies.length === 0 ? (
          <Empty title="No policies">Masking, residency and access rules of each RoutingPolicy are listed here.</Empty>
        ) : (
          <Table label="Policies" columns={columns} rows={data.policies} rowKey={({ id }) => id} />
        )}
      </Card>
      <Audit {...data} />
      <div class="columns even">
        <Card title="Personal data masked" aside={<span class="quiet-text">{since}</span>}>
          <Counts rows={data.masked.map(({ type, values }) => [type, values] as const)} none="Nothing was masked" />
        </Card>
        <Card title="Calls refused or failed" aside={<span class="quiet-text">{since}</span>}>
          <Counts rows={data.refusals.map(({ code, calls }) => [code, calls] as const)} none="No call was refused" />
        </Card>
      </div>
    </>
  );
}
