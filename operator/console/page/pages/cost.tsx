import { useState } from "preact/hooks";
import type { CostGrouping, CostPeriod, CostRow, CostView } from "../../views/cost.ts";
import { AmountChart } from "../charts.tsx";
import { useAnswer } from "../data.ts";
import { callCount, dollars, percent, shortNumber } from "../format.ts";
import { Card, Choice, type Column, Empty, Meter, Stat, Table } from "../parts.tsx";
import { type PageProps, questionOf } from "./page.ts";
import { Waiting } from "./waiting.tsx";

const groupings: readonly CostGrouping[] = ["user", "team", "model", "provider", "route", "key", "role", "namespace"];
const periods: readonly CostPeriod[] = ["24h", "7d", "30d", "90d"];

function columnsOf(by: CostGrouping, sum: number): readonly Column<CostRow>[] {
  const share = ({ costNanoUsd }: CostRow): number => (sum === 0 ? 0 : costNanoUsd / sum);
  return [
    { name: by, cell: ({ name }) => name || "none" },
    { name: "Cost", number: true, cell: ({ costNanoUsd }) => dollars(costNanoUsd) },
    {
      name: "Share",
      cell: (row) => (
        <div class="share-cell">
          <Meter share={share(row)} label={`${percent(share(row))} of the cost`} /> {percent(share(row))}
        </div>
      ),
    },
    { name: "Calls", number: true, cell: ({ requests }) => shortNumber(requests) },
    { name: "Errors", number: true, cell: ({ errors }) => shortNumber(errors) },
    { name: "Tokens in", number: true, cell: ({ promptTokens }) => shortNumber(promptTokens) },
    { name: "Cached", number: true, cell: ({ cachedTokens }) => shortNumber(cachedTokens) },
    { name: "Tokens out", number: true, cell: ({ completionTokens }) => shortNumber(completionTokens) },
  ];
}

function Report({ data }: { data: CostView }) {
  const { sum } = data;
  return (
    <>
      <dl class="stats">
        <Stat name="Spent" value={dollars(sum.costNanoUsd)} note={`in the last ${data.period}`} />
        <Stat name="Calls" value={shortNumber(sum.requests)} note={`${shortNumber(sum.errors)} with an error`} />
        <Stat
          name="Tokens"
          value={shortNumber(sum.promptTokens + sum.completionTokens)}
          note={`${shortNumber(sum.cachedTokens)} read from providers' caches`}
        />
      </dl>
      <Card
        title="Over time"
        aside={<span class="quiet-text">{data.period === "24h" ? "by hour" : "by day"}, UTC</span>}
      >
        <AmountChart points={data.points} />
      </Card>
      <Card title={`By ${data.by}`}>
        {data.rows.length === 0 ? (
          <Empty title="Nothing was used in this time">Choose a longer period.</Empty>
        ) : (
          <Table
            label={`Cost by ${data.by}`}
            columns={columnsOf(data.by, sum.costNanoUsd)}
            rows={data.rows}
            rowKey={({ name }) => name}
          />
        )}
        <p class="quiet-text note">
          {data.total > data.rows.length ? `${data.rows.length} of ${data.total} are shown; the CSV has all. ` : ""}
          {data.unpriced > 0 ? `Not in the cost: ${callCount(data.unpriced)} of models without a price. ` : ""}
          {data.estimated > 0 ? `With estimated tokens: ${callCount(data.estimated)}.` : ""}
        </p>
      </Card>
    </>
  );
}

export function CostPage({ namespace, lost }: PageProps) {
  const [by, setBy] = useState<CostGrouping>("user");
  const [period, setPeriod] = useState<CostPeriod>("7d");
  const answer = useAnswer<CostView>(questionOf("cost", { namespace, by, period }), lost);
  return (
    <>
      <div class="tools page-tools">
        <Choice label="Group by" value={by} options={groupings} onChange={setBy} />
        <Choice label="Period" value={period} options={periods} onChange={setPeriod} />
        <a class="button" href={`api/${questionOf("cost.csv", { namespace, by, period })}`} download="">
          Download CSV
        </a>
      </div>
      {answer.data === null ? <Waiting failure={answer.failure} /> : <Report data={answer.data} />}
    </>
  );
}
