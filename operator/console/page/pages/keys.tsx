import { useState } from "preact/hooks";
import type { ConsoleKey, KeysView } from "../../views/keys.ts";
import { useAnswer } from "../data.ts";
import { ago, dollars, shortNumber, until } from "../format.ts";
import { Badge, Card, type Column, Empty, Name, Search, Table } from "../parts.tsx";
import { type PageProps, questionOf } from "./page.ts";
import { Waiting } from "./waiting.tsx";

const soonMs = 14 * 86_400_000;

function Expiry({ expiresAtMs, previousUntilMs }: ConsoleKey) {
  const nowMs = Date.now();
  const soon = expiresAtMs !== null && expiresAtMs - nowMs < soonMs;
  return (
    <>
      <span class={soon ? "warn-text" : ""}>{expiresAtMs === null ? "never" : until(expiresAtMs, nowMs)}</span>
      {previousUntilMs !== null && <div class="quiet-text">previous key accepted, {until(previousUntilMs, nowMs)}</div>}
    </>
  );
}

const columns: readonly Column<ConsoleKey>[] = [
  { name: "Key", cell: ({ id }) => <Name id={id} /> },
  { name: "State", cell: ({ state }) => <Badge text={state} /> },
  { name: "User", cell: ({ user }) => user },
  { name: "Team", cell: ({ team }) => team },
  { name: "Role", cell: ({ role }) => role },
  {
    name: "Models",
    cell: ({ models }) =>
      models === null ? "by role" : models.slice(0, 3).join(", ") + (models.length > 3 ? ` +${models.length - 3}` : ""),
  },
  { name: "Last used", cell: ({ lastUsedMs }) => (lastUsedMs === null ? "–" : ago(lastUsedMs, Date.now())) },
  { name: "Expires", cell: (row) => <Expiry {...row} /> },
  { name: "Calls", number: true, cell: ({ requests }) => shortNumber(requests) },
  { name: "Cost", number: true, cell: ({ costNanoUsd }) => dollars(costNanoUsd) },
];

export function KeysPage({ namespace, lost }: PageProps) {
  const [search, setSearch] = useState("");
  const answer = useAnswer<KeysView>(questionOf("keys", { namespace, search }), lost);
  const { data } = answer;
  return (
    <Card title="Keys" aside={<Search value={search} onChange={setSearch} label="Find by name, user, team or role" />}>
      {data === null ? (
        <Waiting failure={answer.failure} />
      ) : data.keys.length === 0 ? (
        <Empty title={search === "" ? "No keys" : "No key fits"}>
          {search === "" ? "Create an ApiKey for each user or application." : "Try another word."}
        </Empty>
      ) : (
        <>
          <Table label="Keys" columns={columns} rows={data.keys} rowKey={({ id }) => id} />
          <p class="quiet-text note">
            Calls and cost of the last {data.days} days, by the usage ledger.
            {data.total > data.keys.length ? ` ${data.keys.length} of ${data.total} keys are shown.` : ""}
          </p>
        </>
      )}
    </Card>
  );
}
