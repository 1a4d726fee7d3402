import type { ObjectState } from "../../views/conditions.ts";
import type { PoolState, ProviderRow } from "../../views/providers.ts";
import { Sparkline } from "../charts.tsx";
import { useAnswer } from "../data.ts";
import { milliseconds, percent, shortNumber } from "../format.ts";
import { Badge, Card, Empty, Meter, Name } from "../parts.tsx";
import { type PageProps, questionOf } from "./page.ts";
import { Unserved } from "./unserved.tsx";
import { Waiting } from "./waiting.tsx";

function reachWords({ well, ill, unknown }: ProviderRow["reach"]): string {
  const parts = [
    ...(well > 0 ? [`${well} ${well === 1 ? "proxy reaches" : "proxies reach"} it`] : []),
    ...(ill > 0 ? [`${ill} ${ill === 1 ? "does" : "do"} not`] : []),
    ...(well + ill === 0 && unknown > 0 ? ["not called yet"] : []),
  ];
  return parts.join(", ") || "no proxy";
}

function Quota({ quota }: Pick<ProviderRow, "quota">) {
  if (quota.length === 0) return <p class="quiet-text">No quota is set in the LLMProvider.</p>;
  return (
    <ul class="quota">
      {quota.map(({ what, used, limit }) => (
        <li key={what}>
          <span>
            {shortNumber(used)} of {shortNumber(limit)} {what} in the last minute
          </span>
          <Meter
            share={used / Math.max(1, limit)}
            tone={used > 0.9 * limit ? "bad" : used > 0.7 * limit ? "warn" : ""}
            label={`${percent(used / Math.max(1, limit))} of the quota of ${what}`}
          />
        </li>
      ))}
    </ul>
  );
}

const chooserWords = {
  LeastLoad: "each proxy chooses the server with the fewest of its calls under way",
  Prefix: "each proxy chooses the server that has seen how a conversation begins",
} as const;

function poolWords({ strategy, picker }: PoolState): string {
  if (picker === null) return chooserWords[strategy];
  const instead = picker.failOpen ? "where it fails, the proxy chooses" : "where it fails, the next target is asked";
  return `the endpoint picker of InferencePool ${picker.pool} chooses; ${instead}`;
}

function Pool({ pool }: { pool: PoolState }) {
  return (
    <>
      <span class="quiet-text">{poolWords(pool)}</span>
      {pool.picker !== null && pool.picker.reason !== null && (
        <Badge text={`picker fails: ${pool.picker.reason}`} tone="bad" />
      )}
      {pool.servers.length === 0 && <Badge text="no server is ready" tone="bad" />}
      <ul class="models" aria-label="Servers of the pool">
        {pool.servers.map(({ address, inFlight, failed }) => (
          <li key={address}>
            <span class="mono">{address}</span>
            <span class="quiet-text">
              {shortNumber(inFlight)} {inFlight === 1 ? "call" : "calls"} under way
            </span>
            {failed && <Badge text="connection failed" tone="warn" />}
          </li>
        ))}
      </ul>
    </>
  );
}

const breakerTones = { closed: "good", "half-open": "warn", open: "bad" } as const;

function Provider({ provider }: { provider: ProviderRow }) {
  const { hour } = provider;
  return (
    <Card>
      <header class="card-head">
        <h2>
          <Name id={provider.id} />
        </h2>
        <Badge text={provider.state} />
        <span class="quiet-text">
          {provider.type}
          {provider.region === null ? "" : `, ${provider.region}`}
        </span>
      </header>
      {provider.why !== "" && <p class="why-line">{provider.why}</p>}
      <dl class="facts wide">
        <dt>Health</dt>
        <dd>{reachWords(provider.reach)}</dd>
        <dt>Attempts, last hour</dt>
        <dd>
          {shortNumber(hour.calls)}, {hour.calls === 0 ? "none failed" : `${percent(hour.errors / hour.calls)} failed`}{" "}
          <Sparkline points={provider.points} />
        </dd>
        <dt>Latency</dt>
        <dd>
          {hour.p50Ms === null
            ? "no answers in the last hour"
            : `${milliseconds(hour.p50Ms)} median, 95 % within ${milliseconds(hour.p95Ms)}`}
        </dd>
        <dt>Quota</dt>
        <dd>
          <Quota quota={provider.quota} />
        </dd>
        <dt>Endpoint</dt>
        <dd class="mono">{provider.endpoint}</dd>
        {provider.pool !== null && (
          <>
            <dt>Pool</dt>
            <dd>
              <Pool pool={provider.pool} />
            </dd>
          </>
        )}
      </dl>
      <ul class="models" aria-label="Models and their breakers">
        {provider.models.map((model) => (
          <li key={model.name}>
            <span class="mono">{model.name}</span>
            {model.breaker !== "unknown" && (
              <Badge text={`breaker ${model.breaker}`} tone={breakerTones[model.breaker]} />
            )}
            {model.cause !== null && <span class="quiet-text">{model.cause}</span>}
            {model.refused && <Badge text="credential refused" tone="bad" />}
            {!model.priced && <Badge text="no price" tone="warn" />}
            {model.sunset !== null && <Badge text={`retires ${model.sunset}`} tone="warn" />}
          </li>
        ))}
      </ul>
    </Card>
  );
}

export function ProvidersPage({ namespace, lost }: PageProps) {
  const answer = useAnswer<{ providers: ProviderRow[]; unserved: ObjectState[] }>(
    questionOf("providers", { namespace }),
    lost,
  );
  if (answer.data === null) return <Waiting failure={answer.failure} />;
  const { providers, unserved } = answer.data;
  if (providers.length + unserved.length === 0)
    return (
      <Card>
        <Empty title="No providers">Create an LLMProvider, and it shows up here with its health.</Empty>
      </Card>
    );
  return (
    <>
      <Unserved states={unserved} />
      <div class="cards">
        {providers.map((provider) => (
          <Provider key={provider.id} provider={provider} />
        ))}
      </div>
    </>
  );
}
