import { useState } from "preact/hooks";
import type { ObjectState } from "../../views/conditions.ts";
import type { ConfigView } from "../../views/config.ts";
import { useAnswer } from "../data.ts";
import { wholeNumber } from "../format.ts";
import { Badge, Card, type Column, Empty, Name, Search, Table } from "../parts.tsx";
import { type PageProps, questionOf } from "./page.ts";
import { Waiting } from "./waiting.tsx";

type ProxyRow = ConfigView["proxies"][number];

function ProxyState({ answers, rejected, draining, current, ready }: ProxyRow) {
  if (!answers) return <Badge text="no answer" tone="bad" />;
  if (rejected !== null) return <Badge text="config not accepted" tone="bad" />;
  if (draining) return <Badge text="draining" tone="quiet" />;
  if (!ready) return <Badge text="not ready" tone="warn" />;
  return current ? <Badge text="current" tone="good" /> : <Badge text="updating" tone="warn" />;
}

const proxyColumns: readonly Column<ProxyRow>[] = [
  { name: "Proxy", cell: ({ name }) => <span class="mono">{name}</span> },
  { name: "State", cell: (row) => <ProxyState {...row} /> },
  { name: "Revision", cell: ({ revision }) => <span class="mono">{revision ?? "none"}</span> },
  { name: "Keys", number: true, cell: ({ keys }) => wholeNumber(keys) },
  { name: "Calls under way", number: true, cell: ({ inFlight }) => wholeNumber(inFlight) },
  { name: "Why", cell: ({ rejected }) => rejected ?? "" },
];

function ObjectLine({ object }: { object: ObjectState }) {
  return (
    <li>
      <details>
        <summary>
          <Badge text={object.state} />
          <span class="object-kind">{object.kind}</span>
          <Name id={object.id} />
          <span class="object-why">{object.why}</span>
        </summary>
        <table class="conditions">
          <tbody>
            {object.conditions.map(({ type, status, reason, message }) => (
              <tr key={type}>
                <th scope="row">{type}</th>
                <td>{status}</td>
                <td>{reason}</td>
                <td>{message}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </li>
  );
}

export function ConfigPage({ namespace, lost }: PageProps) {
  const [search, setSearch] = useState("");
  const answer = useAnswer<ConfigView>(questionOf("config", { namespace, search }), lost);
  const { data } = answer;
  return (
    <>
      {data !== null && (
        <Card
          title="Proxies"
          aside={
            <span class="quiet-text">
              published revision <span class="mono">{data.revision || "none"}</span>
            </span>
          }
        >
          {data.proxies.length === 0 ? (
            <Empty title="No proxy is ready">Calls are not served.</Empty>
          ) : (
            <Table label="Proxies" columns={proxyColumns} rows={data.proxies} rowKey={({ name }) => name} />
          )}
        </Card>
      )}
      <Card
        title="Objects"
        aside={<Search value={search} onChange={setSearch} label="Find by kind, name or problem" />}
      >
        {data === null ? (
          <Waiting failure={answer.failure} />
        ) : data.objects.length === 0 ? (
          <Empty title={search === "" ? "No objects" : "No object fits"} />
        ) : (
          <>
            <ul class="objects">
              {data.objects.map((object) => (
                <ObjectLine key={`${object.kind}${object.id}`} object={object} />
              ))}
            </ul>
            {data.total > data.objects.length && (
              <p class="quiet-text note">
                {data.objects.length} of {data.total} objects are shown.
              </p>
            )}
          </>
        )}
      </Card>
    </>
  );
}
