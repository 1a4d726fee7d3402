/** A proxy that runs out of memory: the rest of the fleet goes on, and the proxy comes back. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "../harness/until.ts";
import { type Installation, startInstallation } from "./installation.ts";

interface Exhaustion {
  what: string;
  values: string[];
  /** How its container ends. */
  exitCodes: number[];
  reason: RegExp;
}

const nodeOptions = (options: string): string[] => [
  "proxy.extraEnv[0].name=NODE_OPTIONS",
  `proxy.extraEnv[0].value=${options}`,
];
const exhaustions: readonly Exhaustion[] = [
  {
    what: "V8's heap",
    values: nodeOptions("--max-old-space-size=56"),
    // V8 aborts; the first process of a container can't be ended by SIGABRT, and takes the fault that follows.
    exitCodes: [134, 139],
    reason: /^Error$/,
  },
  {
    what: "the container's memory, so that the kernel kills it",
    values: [
      ...nodeOptions("--max-old-space-size=4000"),
      "proxy.resources.requests.memory=64Mi",
      "proxy.resources.limits.memory=150Mi",
    ],
    exitCodes: [137],
    reason: /^OOMKilled$/,
  },
];

describe("a proxy that exhausts", () => {
  let release: Installation;
  let installed = false;
  before(async () => {
    ({ release } = await startInstallation());
  });
  after(() => release?.stop());

  const install = async (values: readonly string[]): Promise<void> => {
    await release.helm(installed ? "upgrade" : "install", "operator.privateEndpointNamespaces={team-a}", ...values);
    if (!installed) await release.applyTenant();
    installed = true;
    await release.stopped("proxy");
    await until("calls are answered", async () => {
      const { ok } = await (await release.startLoad(1, "fresh", 1, 50))();
      assert.ok(ok > 0);
    });
  };

  for (const { what, values, exitCodes, reason } of exhaustions)
    it(`${what} is the only one that ends, and only its own calls are lost`, async () => {
      await install(values);
      const [victim, other] = await release.pods("proxy");
      assert.ok(victim && other);
      const kept = await release.startLoad(10, "kept", 6, 40);
      const retried = await release.startLoad(10, "retried", 4, 60);
      const url = `http://${victim.ip}:8080`;
      await until(
        "the memory is exhausted",
        async () => {
          await (await release.startLoad(5, "large", 12, 0, { url }))();
          assert.ok((await release.restartsOf(victim.name)).count > 0);
        },
        90_000,
      );
      const ended = await release.restartsOf(victim.name);
      assert.ok(exitCodes.includes(ended.exitCode ?? 0), `exit code ${ended.exitCode}`);
      assert.match(ended.reason ?? "", reason);
      const [once, again] = [await kept(), await retried()];
      assert.deepEqual(again.failures, [], "callers that retry, as SDKs do, notice nothing");
      // Its connections broke, or were refused until its endpoint was withdrawn. No other call was refused.
      const outcomes = Object.keys(once.others);
      assert.deepEqual(
        outcomes.filter((outcome) => !/^(answer )?(ECONN(RESET|REFUSED))/.test(outcome)),
        [],
      );
      await release.ready("proxy", 2);
      assert.equal((await release.restartsOf(other.name)).count, 0);
      const after = await (await release.startLoad(5, "kept", 6, 40))();
      assert.deepEqual(after.failures, []);
    });
});
