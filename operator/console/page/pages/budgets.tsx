import type { BudgetRow } from "../../views/budgets.ts";
import { BurnChart } from "../charts.tsx";
import { useAnswer } from "../data.ts";
import { dateAndTime, dollars, percent, until } from "../format.ts";
import { Badge, Card, Empty, Meter, Name } from "../parts.tsx";
import { type PageProps, questionOf } from "./page.ts";
import { Waiting } from "./waiting.tsx";

function paceWords({ state, emptyAtMs, forecastNanoUsd, enforcement, refused }: BudgetRow, nowMs: number): string {
  if (state === "unknown") return "No proxy has reported on it yet.";
  if (state === "used up") {
    if (enforcement !== "Hard") return "Used up. Calls go on, since the budget is not hard.";
    return refused.length > 0 ? "Used up. Calls under it are refused." : "Used up. The next call under it is refused.";
  }
  if (emptyAtMs !== null) return `At this pace it is used up ${until(emptyAtMs, nowMs)} (${dateAndTime(emptyAtMs)}).`;
  if (forecastNanoUsd === null) return "Too little has happened for a forecast.";
  return `At this pace ${dollars(forecastNanoUsd)} by the end of the period.`;
}

function Groups({ groups, groupCount, amountNanoUsd, per }: BudgetRow) {
  if (groups.length === 0) return null;
  return (
    <ul class="groups">
      {groups.slice(0, 8).map(({ subject, spentNanoUsd }) => (
        <li key={subject}>
          <span class="group-name">{subject}</span>
          <Meter
            share={spentNanoUsd / Math.max(1, amountNanoUsd)}
            tone={spentNanoUsd >= amountNanoUsd ? "bad" : ""}
            label={`${subject}: ${percent(spentNanoUsd / Math.max(1, amountNanoUsd))}`}
          />
          <span class="group-amount">{dollars(spentNanoUsd)}</span>
        </li>
      ))}
      {groupCount > 8 && (
        <li class="quiet-text">
          and {groupCount - 8} more, each with its own {dollars(amountNanoUsd)} by {per ?? ""}
        </li>
      )}
    </ul>
  );
}

function Budget({ budget }: { budget: BudgetRow }) {
  const nowMs = Date.now();
  const { spentNanoUsd, amountNanoUsd, per, resetsAtMs } = budget;
  const share = spentNanoUsd / Math.max(1, amountNanoUsd);
  const tone = budget.state === "used up" ? "bad" : budget.state === "ahead" ? "warn" : "";
  return (
    <Card>
      <header class="card-head">
        <h2>
          <Name id={budget.id} />
        </h2>
        <Badge text={budget.state} />
        <span class="quiet-text">
          {budget.period}, {budget.enforcement}
          {per === null ? "" : `, for each ${per}`}
        </span>
      </header>
      <p class="amount-line">
        <span class="amount">{dollars(spentNanoUsd)}</span> of {dollars(amountNanoUsd)}
        {per === null ? "" : " by the one who spent most"}
        <span class="amount-left">{percent(share)}</span>
      </p>
      <Meter share={share} tone={tone} label={`${percent(share)} spent`} />
      <p class={tone === "" ? "quiet-text" : `${tone}-text`}>{paceWords(budget, nowMs)}</p>
      {resetsAtMs !== null && per === null && budget.state !== "unknown" && (
        <BurnChart {...budget} resetsAtMs={resetsAtMs} nowMs={nowMs} />
      )}
      <Groups {...budget} />
      <p class="quiet-text note">
        {budget.scope.length === 0 ? "Covers every key of its namespace." : `Covers ${budget.scope.join("; ")}.`}
        {resetsAtMs === null ? " It does not reset." : ` Resets ${until(resetsAtMs, nowMs)}.`}
      </p>
    </Card>
  );
}

export function BudgetsPage({ namespace, lost }: PageProps) {
  const answer = useAnswer<{ budgets: BudgetRow[] }>(questionOf("budgets", { namespace }), lost);
  if (answer.data === null) return <Waiting failure={answer.failure} />;
  const { budgets } = answer.data;
  if (budgets.length === 0)
    return (
      <Card>
        <Empty title="No budgets">Create a Budget with an amount, and it shows up here with its pace.</Empty>
      </Card>
    );
  return (
    <div class="cards">
      {budgets.map((budget) => (
        <Budget key={budget.id} budget={budget} />
      ))}
    </div>
  );
}
