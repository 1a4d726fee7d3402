import type { ObjectState } from "../../views/conditions.ts";
import type { RouteRow } from "../../views/routes.ts";
import { Sparkline } from "../charts.tsx";
import { useAnswer } from "../data.ts";
import { callCount, milliseconds, percent, shortNumber } from "../format.ts";
import { Badge, Card, Empty, Meter, Name } from "../parts.tsx";
import { type PageProps, questionOf } from "./page.ts";
import { Unserved } from "./unserved.tsx";
import { Waiting } from "./waiting.tsx";

const rowHeight = 56;

/** The policy on the left, its targets on the right; the lines are as thick as the targets' shares. */
function Graph({ targets }: { targets: RouteRow["targets"] }) {
  const height = targets.length * rowHeight;
  const middle = height / 2;
  const label = targets.map(({ name, share }) => `${name}: ${share === null ? "no calls" : percent(share)}`).join(", ");
  return (
    <svg
      class="graph"
      width="72"
      height={height}
      viewBox={`0 0 72 ${height}`}
      role="img"
      aria-label={`Shares of the last hour. ${label}`}
    >
      <title>Shares of the last hour</title>
      {targets.map(({ name, share }, at) => {
        const y = at * rowHeight + rowHeight / 2;
        const thick = share === null ? 1.5 : Math.max(1.5, share * 14);
        return (
          <path
            key={name}
            class={share === null || share === 0 ? "edge none" : "edge"}
            d={`M0 ${middle} C 36 ${middle}, 36 ${y}, 72 ${y}`}
            style={{ strokeWidth: `${thick}px` }}
          />
        );
      })}
    </svg>
  );
}

function placeOf({ strategy }: RouteRow, { priority, weight }: RouteRow["targets"][number]): string {
  if (strategy === "Priority") return `, priority ${priority}`;
  return strategy === "Weighted" ? `, weight ${weight}` : "";
}

function Targets({ route }: { route: RouteRow }) {
  return (
    <div class="targets">
      <Graph targets={route.targets} />
      <ul>
        {route.targets.map((target) => (
          <li key={target.name}>
            <div class="target-name">
              <strong>{target.name}</strong>
              <span class="quiet-text">
                {target.provider}
                {target.model === null ? "" : `, ${target.model}`}
                {placeOf(route, target)}
              </span>
            </div>
            <div class="target-numbers">
              <span class="share">{target.share === null ? "–" : percent(target.share)}</span>
              <span class="quiet-text">
                {callCount(target.calls)}
                {target.errors > 0 ? `, ${shortNumber(target.errors)} failed` : ""}
                {target.p95Ms === null ? "" : `, 95 % within ${milliseconds(target.p95Ms)}`}
              </span>
            </div>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Canary({ canary }: { canary: NonNullable<RouteRow["canary"]> }) {
  return (
    <div class="canary">
      <p>
        <Badge text={canary.phase} /> Canary: {canary.verdict}
      </p>
      <Meter share={canary.percent / 100} label={`The canary gets ${canary.percent} % of the calls`} />
      <p class="quiet-text">
        {canary.percent} % of the calls, {shortNumber(canary.requests)} so far
        {canary.errorRate === null ? "" : `, errors ${canary.errorRate}`}
        {canary.latencyP95 === null ? "" : `, 95 % within ${canary.latencyP95}`}
        {canary.costIncrease === null ? "" : `, cost ${canary.costIncrease}`}
      </p>
    </div>
  );
}

function Route({ route }: { route: RouteRow }) {
  const models = route.models === null ? "any model" : route.models.join(", ");
  return (
    <Card>
      <header class="card-head">
        <h2>
          <Name id={route.id} />
        </h2>
        <Badge text={route.state} />
        <span class="quiet-text">
          {route.strategy}
          {route.rules > 0 ? `, ${route.rules} ${route.rules === 1 ? "rule" : "rules"} first` : ""}
        </span>
      </header>
      {route.why !== "" && <p class="why-line">{route.why}</p>}
      <p class="route-line">
        <span class="mono">{models}</span> <span class="quiet-text">under</span>{" "}
        <span class="mono">{route.pathPrefix || "/v1"}</span>
        <span class="route-hour">
          {callCount(route.hour.calls)} in the last hour <Sparkline points={route.points} />
        </span>
      </p>
      {route.targets.length === 0 ? <p class="quiet-text">No target is left.</p> : <Targets route={route} />}
      {route.shadow !== null && (
        <p>
          {route.shadow.percent} % of answered calls are copied to {route.shadow.provider}
          {route.shadow.model === null ? "" : `, ${route.shadow.model}`}
        </p>
      )}
      {route.canary !== null && <Canary canary={route.canary} />}
    </Card>
  );
}

export function RoutesPage({ namespace, lost }: PageProps) {
  const answer = useAnswer<{ routes: RouteRow[]; unserved: ObjectState[] }>(questionOf("routes", { namespace }), lost);
  if (answer.data === null) return <Waiting failure={answer.failure} />;
  const { routes, unserved } = answer.data;
  if (routes.length + unserved.length === 0)
    return (
      <Card>
        <Empty title="No routes">Create a RoutingPolicy, and it shows up here with its targets.</Empty>
      </Card>
    );
  return (
    <>
      <Unserved states={unserved} />
      <div class="cards">
        {routes.map((route) => (
          <Route key={route.id} route={route} />
        ))}
      </div>
    </>
  );
}
