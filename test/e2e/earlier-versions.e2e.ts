/** Upgrades from earlier commits to this one and back, with the objects that the earlier version stored, under load. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { until } from "../harness/until.ts";
import { checkout } from "./images.ts";
import { type Installation, type LoadResult, startInstallation, system } from "./installation.ts";
import { applyStore, storeValues } from "./shared-store.ts";

/** Commits from which upgrades must work. Proxies that don't drain break kept connections when they are stopped. */
const earlier: readonly { commit: string; what: string; drains: boolean }[] = [
  { commit: "2810e99c", what: "packages in the image, Secrets without consent", drains: false },
  { commit: "d9fea5b9", what: "the first bundled image", drains: false },
  { commit: "83269bfd", what: "labelled Secrets, a token on the status port", drains: true },
];
const values = ["operator.privateEndpointNamespaces={team-a}", ...storeValues];
const crds = ["llmproviders", "routingpolicies", "budgets", "apikeys"].map((name) => `${name}.sluice.dev`);
/** A call costs USD 0.01. */
const price = { inputPerMillion: "1000", outputPerMillion: "1000" };
const budget = {
  apiVersion: "sluice.dev/v1alpha1",
  kind: "Budget",
  metadata: { name: "all", namespace: "team-a" },
  spec: { amount: "10000", period: "Total", scope: { users: ["alice@example.com"] }, enforcement: "Soft" },
};
const objects = ["llmprovider/up", "routingpolicy/chat", "apikey/alice", "budget/all"];

describe("an upgrade under load", () => {
  let release: Installation;
  before(async () => {
    ({ release } = await startInstallation(
      "ipv4",
      earlier.map(({ commit }) => commit),
    ));
  });
  after(() => release?.stop());

  const specs = async (): Promise<unknown[]> => {
    const list = JSON.parse(await release.node.kubectl("-n", "team-a", "get", ...objects, "-o", "json"));
    return list.items.map(({ spec }: { spec: unknown }) => spec);
  };
  const programmed = async (): Promise<void> => {
    await release.node.kubectl("wait", "-n", "team-a", "--for=condition=Programmed", "--timeout=120s", ...objects);
  };
  const spent = async (): Promise<number> =>
    Number(await release.node.kubectl("-n", "team-a", "get", "budget/all", "-o", "jsonpath={.status.spent}"));
  const install = async (folder: string, commit: string): Promise<void> => {
    await applyStore(release.node, "redis");
    await release.helmWith(join(folder, "charts/sluice"), commit, "install", ...values);
    await release.applyTenant();
    const models = ["fast", "mid", "slow"].map((name) => ({ name, price }));
    const patch = JSON.stringify({ spec: { models } });
    await release.node.kubectl("-n", "team-a", "patch", "llmprovider/up", "--type=merge", "-p", patch);
    await release.node.apply(JSON.stringify(budget));
    await programmed();
  };
  const remove = async (): Promise<void> => {
    await release.node.kubectl("-n", "team-a", "delete", ...objects, "--wait=true");
    await release.node.must("helm", "uninstall", "sluice", "-n", system, "--wait");
    await release.node.kubectl("delete", "crd", ...crds);
    for (const name of [system, "team-a"]) {
      await release.node.kubectl("delete", "namespace", name, "--wait=true");
      await release.namespace(name);
    }
  };
  const loadDuring = (change: () => Promise<void>): Promise<LoadResult[]> =>
    release.loadDuring(change, { kept: 4, stream: 4, fresh: 4 });
  const judge = (results: readonly LoadResult[], drains: boolean): void => {
    const judged = drains ? results : results.filter(({ kind }) => kind === "fresh");
    assert.deepEqual(
      judged.flatMap(({ failures }) => failures),
      [],
    );
    assert.ok(results.every(({ ok }) => ok > 0));
  };

  for (const { commit, what, drains } of earlier)
    it(`works from ${commit} (${what}) and back`, async () => {
      const folder = await checkout(commit);
      try {
        await install(folder, commit);
        const [stored, key] = [await specs(), await release.key()];
        await until("calls are answered", async () => assert.equal((await release.call("/v1/models")).status, 200));

        const before = await spent();
        const results = await loadDuring(() => release.helm("upgrade", ...values));
        judge(results, drains);
        await programmed();
        assert.deepEqual([await specs(), await release.key()], [stored, key]);
        const answered = results.reduce((sum, { ok }) => sum + ok, 0);
        const lost = results.flatMap(({ others }) => Object.values(others)).reduce((sum, count) => sum + count, 0);
        await until(
          "the spending of both versions is counted",
          async () => {
            const calls = Math.round(((await spent()) - before) * 100);
            assert.ok(calls >= answered && calls <= answered + lost, `${calls} calls charged, ${answered} answered`);
          },
          90_000,
          500,
        );

        judge(
          await loadDuring(async () => {
            await release.node.must("helm", "rollback", "sluice", "1", "-n", system, "--wait", "--timeout", "240s");
          }),
          true,
        );
        await programmed();
        assert.deepEqual([await specs(), await release.key()], [stored, key]);
      } finally {
        await rm(folder, { recursive: true, force: true });
        await remove();
      }
    });
});
