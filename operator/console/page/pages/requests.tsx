import { useState } from "preact/hooks";
import type { ExplainedCall } from "../../views/requests.ts";
import { useAnswer } from "../data.ts";
import { clockTimeWithSeconds, dollars, milliseconds, wholeNumber } from "../format.ts";
import { Badge, Card, Choice, Empty, Search } from "../parts.tsx";
import { type PageProps, questionOf } from "./page.ts";
import { Waiting } from "./waiting.tsx";

function toneOf({ blame, code, ending }: ExplainedCall): string {
  if (blame === "provider" || blame === "gateway" || code === "no_usable_target" || ending === "broken") return "bad";
  return code !== null || ending !== "complete" ? "warn" : "good";
}

const titles: Readonly<Record<ExplainedCall["why"][number]["about"], string>> = {
  caller: "Caller",
  route: "Route",
  target: "Target",
  attempt: "Attempt",
  answer: "Answer",
  refusal: "Failure",
};

function Tokens({ promptTokens, completionTokens, cachedTokens, estimated }: ExplainedCall) {
  if (promptTokens === null) return <>none</>;
  const cached = cachedTokens !== null && cachedTokens > 0 ? ` (${wholeNumber(cachedTokens)} cached)` : "";
  return (
    <>
      {wholeNumber(promptTokens)} in{cached}, {wholeNumber(completionTokens ?? 0)} out{estimated ? ", estimated" : ""}
    </>
  );
}

function Explanation({ call }: { call: ExplainedCall }) {
  return (
    <div class="explained">
      <ol class="why">
        {call.why.map(({ about, text }, at) => (
          <li key={`${at}${about}`} class={about}>
            <span class="why-about">{titles[about]}</span>
            <span>{text}</span>
          </li>
        ))}
      </ol>
      <dl class="facts">
        <dt>Request</dt>
        <dd class="mono">{call.requestId}</dd>
        <dt>Operation</dt>
        <dd>
          {call.operation}
          {call.stream ? ", stream" : ""}
        </dd>
        <dt>Tokens</dt>
        <dd>
          <Tokens {...call} />
        </dd>
        <dt>Cost</dt>
        <dd>{call.costNanoUsd === null ? "none known" : dollars(call.costNanoUsd)}</dd>
        <dt>First token</dt>
        <dd>{milliseconds(call.firstByteMs)}</dd>
        {call.cache !== null && (
          <>
            <dt>Cache</dt>
            <dd>{call.cache}</dd>
          </>
        )}
        {call.team !== "" && (
          <>
            <dt>Team</dt>
            <dd>{call.team}</dd>
          </>
        )}
        {call.region !== "" && (
          <>
            <dt>Region</dt>
            <dd>{call.region}</dd>
          </>
        )}
      </dl>
    </div>
  );
}

/** One line per call, which expands to its explanation. */
export function CallList({ calls }: { calls: readonly ExplainedCall[]; nowMs?: number }) {
  return (
    <ul class="calls">
      {calls.map((call) => (
        <li key={`${call.requestId}${call.endedMs}`}>
          <details>
            <summary>
              <span class="call-time">{clockTimeWithSeconds(call.endedMs)}</span>
              <Badge text={String(call.status)} tone={toneOf(call)} />
              <span class="call-model">{call.model || call.operation}</span>
              <span class="call-target">{call.code ?? (call.target || (call.cache === "hit" ? "cache" : ""))}</span>
              <span class="call-user">{call.user || "no key"}</span>
              <span class="call-number">{milliseconds(call.durationMs)}</span>
              <span class="call-number">{call.costNanoUsd === null ? "–" : dollars(call.costNanoUsd)}</span>
            </summary>
            <Explanation call={call} />
          </details>
        </li>
      ))}
    </ul>
  );
}

const outcomes = ["all", "answered", "refused", "failed"] as const;
type Outcome = (typeof outcomes)[number];

const outcomeOf = (call: ExplainedCall): Outcome =>
  ({ good: "answered", warn: "refused", bad: "failed" })[toneOf(call)] as Outcome;

export function RequestsPage({ namespace, lost }: PageProps) {
  const [outcome, setOutcome] = useState<Outcome>("all");
  const [search, setSearch] = useState("");
  const answer = useAnswer<{ calls: ExplainedCall[] }>(questionOf("requests", { namespace }), lost);
  if (answer.data === null) return <Waiting failure={answer.failure} />;
  const wanted = search.toLowerCase();
  const shown = answer.data.calls.filter((call) => {
    const { requestId, model, user, team, key, route, provider, code } = call;
    const text = `${requestId} ${model} ${user} ${team} ${key} ${route} ${provider} ${code ?? ""}`.toLowerCase();
    return (outcome === "all" || outcomeOf(call) === outcome) && text.includes(wanted);
  });
  return (
    <Card
      title="Recent calls"
      aside={
        <div class="tools">
          <Choice label="Outcome" value={outcome} options={outcomes} onChange={setOutcome} />
          <Search value={search} onChange={setSearch} label="Find by model, user, route, code or id" />
        </div>
      }
    >
      {shown.length === 0 ? (
        <Empty title={answer.data.calls.length === 0 ? "No calls yet" : "No call fits"}>
          {answer.data.calls.length === 0
            ? "Each proxy keeps its last 500 calls in memory, without bodies."
            : "Choose another outcome or another word."}
        </Empty>
      ) : (
        <CallList calls={shown.slice(0, 200)} />
      )}
    </Card>
  );
}
