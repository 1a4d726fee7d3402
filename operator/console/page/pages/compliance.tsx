import type { ComplianceRow, ComplianceView } from "../../views/compliance.ts";
import { useAnswer } from "../data.ts";
import { ago, wholeNumber } from "../format.ts";
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
