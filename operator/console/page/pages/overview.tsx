import type { Overview } from "../../views/overview.ts";
import { AmountChart, TrafficChart } from "../charts.tsx";
import { useAnswer } from "../data.ts";
import { ago, callCount, dollars, milliseconds, percent, shortNumber } from "../format.ts";
import { Badge, Card, Empty, Stat } from "../parts.tsx";
import { type PageProps, questionOf } from "./page.ts";
import { CallList } from "./requests.tsx";
import { Waiting } from "./waiting.tsx";

function Problems({ problems, nowMs }: Pick<Overview, "problems" | "nowMs">) {
  if (problems.length === 0)
    return (
      <p class="all-well" role="status">
        <Badge text="fine" tone="good" /> Nothing is wrong right now.
      </p>
    );
  return (
    <ul class="problems">
      {problems.map(({ severity, about, page, message, since }) => (
        <li key={`${about}${message}`} class={severity}>
          <Badge text={severity} />
          <div>
            <a href={`#/${page}`}>{about}</a>
            <span class="problem-message">{message}</span>
          </div>
          <span class="quiet-text problem-since">
            {since === null ? "" : `since ${ago(Date.parse(since), nowMs).replace(" ago", "")}`}
          </span>
        </li>
      ))}
    </ul>
  );
}

const names = { LLMProvider: "providers", RoutingPolicy: "routes", Budget: "budgets", ApiKey: "keys" } as const;

function Figures({ data: { minute, hour, days, proxies } }: { data: Overview }) {
  const failed = hour.calls === 0 ? 0 : hour.errors / hour.calls;
  const today = days.at(-1)?.costNanoUsd ?? 0;
  const week = days.reduce((sum, { costNanoUsd }) => sum + costNanoUsd, 0);
  return (
    <dl class="stats">
      <Stat
        name="Calls, last minute"
        value={shortNumber(minute.calls)}
        note={`${shortNumber(hour.calls)} in the last hour`}
      />
      <Stat
        name="Failed, last hour"
        value={percent(failed)}
        note={`${shortNumber(hour.errors)} failed, ${shortNumber(hour.refused)} refused`}
        tone={failed >= 0.05 ? "bad" : ""}
      />
      <Stat
        name="Median latency"
        value={milliseconds(hour.p50Ms)}
        note={`95 % within ${milliseconds(hour.p95Ms)}, last hour`}
      />
      <Stat name="Spent today (UTC)" value={dollars(today)} note={`${dollars(week)} in 7 days`} />
      <Stat
        name="Saved by the cache"
        value={dollars(hour.savedNanoUsd)}
        note={`${shortNumber(hour.cacheHits)} ${hour.cacheHits === 1 ? "answer" : "answers"} in the last hour`}
      />
      <Stat
        name="Proxies"
        value={`${proxies.current} of ${proxies.total}`}
        note={`at this revision, ${callCount(proxies.inFlight)} under way`}
        tone={proxies.current < proxies.total ? "warn" : ""}
      />
    </dl>
  );
}

function Objects({ objects }: Pick<Overview, "objects">) {
  return (
    <Card title="Objects">
      <ul class="tiles">
        {objects.map(({ kind, total, amiss }) => (
          <li key={kind}>
            <a href={`#/${names[kind]}`}>
              <strong>{total}</strong> {names[kind]}
            </a>
            <span class={amiss > 0 ? "warn-text" : "quiet-text"}>
              {amiss > 0 ? `${amiss} with a problem` : "no problem"}
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

export function OverviewPage({ namespace, lost }: PageProps) {
  const answer = useAnswer<Overview>(questionOf("overview", { namespace }), lost);
  const { data } = answer;
  if (data === null) return <Waiting failure={answer.failure} />;
  const { days, nowMs } = data;
  return (
    <>
      <Card title="Right now" aside={<span class="quiet-text">revision {data.revision || "none"}</span>}>
        <Problems problems={data.problems} nowMs={nowMs} />
      </Card>
      <Figures data={data} />
      <div class="columns">
        <Card
          title="Traffic"
          aside={
            <span class="legend">
              <i class="dot answered" /> answered <i class="dot refused" /> refused <i class="dot failed" /> failed
            </span>
          }
        >
          <TrafficChart points={data.points} />
        </Card>
        <Card title="Spend" aside={<span class="quiet-text">7 days, UTC</span>}>
          <AmountChart points={days.map(({ day, costNanoUsd }) => ({ at: day, costNanoUsd }))} />
        </Card>
      </div>
      <Card title="Latest calls" aside={<a href="#/requests">All recent calls</a>}>
        {data.recent.length === 0 ? (
          <Empty title="No calls yet">They appear here within two seconds.</Empty>
        ) : (
          <CallList calls={data.recent} nowMs={nowMs} />
        )}
      </Card>
      <Objects objects={data.objects} />
    </>
  );
}
