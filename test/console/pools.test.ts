/** The console shows a pool's servers, its endpoint picker, and which server took a call, with the reason. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { proxyReading } from "../../operator/console/proxy-report.ts";
import { type ProviderRow, providersView } from "../../operator/console/views/providers.ts";
import { explained } from "../../operator/console/views/requests.ts";
import { recentCall } from "../../proxy/config/activity.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";

const id = "models/gpus";
const addresses = ["10.0.0.1:8000", "10.0.0.2:8000"];
const picker = { pool: "llama", addresses: ["10.0.1.1:9002"], tls: null, timeoutMs: 10_000, failOpen: true };

const config = (pool: object | undefined): ProviderConfig =>
  ({
    id,
    type: "OpenAICompatible",
    endpoint: "",
    region: null,
    quota: {},
    models: {},
    pool,
  }) as unknown as ProviderConfig;

function rowOf(pool: object | undefined, ...reports: object[]): ProviderRow {
  const proxies = reports.map((report, at) => proxyReading(`proxy-${at}`, { providers: [{ id, ...report }] }));
  const facts = { nowMs: 0, activities: [], objects: [], proxies, config: { providers: [config(pool)], routes: [] } };
  const viewer = { sees: () => true, all: true } as never;
  const [row] = providersView(facts as never, viewer).providers;
  assert.ok(row);
  return row;
}

describe("the console", () => {
  it("shows the servers of a pool with the calls of all proxies", () => {
    const pods = (...inFlight: number[]) =>
      inFlight.map((count, at) => ({ pod: addresses[at], inFlight: count, spared: at === count }));
    const { pool } = rowOf(
      { pods: addresses, strategy: "Prefix", mostInFlight: null },
      { pods: pods(3, 1) },
      { pods: pods(2, 4) },
    );
    assert.deepEqual(pool, {
      strategy: "Prefix",
      servers: [
        { address: "10.0.0.1:8000", inFlight: 5, failed: false },
        { address: "10.0.0.2:8000", inFlight: 5, failed: true },
      ],
      picker: null,
    });
  });

  it("shows the endpoint picker, and why it fails", () => {
    const pool = { pods: addresses, strategy: "LeastLoad", mostInFlight: null, picker };
    const well = { picker: { pool: "llama", reason: null } };
    const ill = { picker: { pool: "llama", reason: "its certificate has expired" } };
    assert.deepEqual(rowOf(pool, well).pool?.picker, { pool: "llama", failOpen: true, reason: null });
    assert.equal(rowOf(pool, well, ill).pool?.picker?.reason, "its certificate has expired");
    // An older proxy reports neither.
    assert.deepEqual(rowOf(pool, {}).pool?.servers[0], { address: addresses[0], inFlight: 0, failed: false });
  });

  it("shows no pool where there is one server", () => assert.equal(rowOf(undefined, { pods: null }).pool, null));

  for (const [chosenBy, why] of [
    ["Picker", " at server 10.0.0.1:8000 (chosen by the pool's endpoint picker): answered"],
    ["LeastLoad", " at server 10.0.0.1:8000 (it had the fewest calls under way): answered"],
    ["Prefix", " at server 10.0.0.1:8000 (it has seen how this conversation begins): answered"],
    ["SomethingNewer", " at server 10.0.0.1:8000: answered"],
  ] as const)
    it(`says why a call went to a server of the pool: ${chosenBy}`, () => {
      const attempt = { provider: id, target: "gpus", model: "m", outcome: "ok", durationMs: 5 };
      const call = recentCall.parse({ attempts: [{ ...attempt, server: { address: addresses[0], chosenBy } }] });
      assert.ok(explained(call, undefined).why.some(({ text }) => text.includes(`gpus, m${why}`)));
    });
});
