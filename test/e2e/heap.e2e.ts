/** A proxy that runs out of memory: the rest of the fleet goes on, and the proxy comes back. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "../harness/until.ts";
import { type Installation, startInstallation, system } from "./installation.ts";

const heapMegabytes = 56;

describe("a proxy whose heap is exhausted", () => {
  let release: Installation;
  before(async () => {
    ({ release } = await startInstallation());
    await release.helm(
      "install",
      "operator.privateEndpointNamespaces={team-a}",
      "proxy.extraEnv[0].name=NODE_OPTIONS",
      `proxy.extraEnv[0].value=--max-old-space-size=${heapMegabytes}`,
    );
    await release.applyTenant();
    await until("calls are answered", async () => {
      const { ok } = await (await release.startLoad(1, "fresh", 1, 50))();
      assert.ok(ok > 0);
    });
  });
  after(() => release?.stop());

  interface Restarts {
    count: number;
    exitCode: number | undefined;
  }
  const restartsOf = async (pod: string): Promise<Restarts> => {
    const { status } = JSON.parse(await release.node.kubectl("-n", system, "get", "pod", pod, "-o", "json"));
    const [container] = status.containerStatuses;
    return { count: container.restartCount, exitCode: container.lastState.terminated?.exitCode };
  };

  it("takes down that proxy alone, and only calls that it had", async () => {
    const [victim, other] = await release.pods("proxy");
    assert.ok(victim && other);
    const kept = await release.startLoad(60, "kept", 6, 40);
    const retried = await release.startLoad(60, "retried", 4, 60);
    const url = `http://${victim.ip}:8080`;
    await until(
      "the heap is exhausted",
      async () => {
        await (await release.startLoad(5, "large", 12, 0, { url }))();
        assert.ok((await restartsOf(victim.name)).count > 0);
      },
      60_000,
    );
    const ended = await restartsOf(victim.name);
    // V8 aborts; the first process of a container can't be ended by SIGABRT, and takes the fault that follows.
    assert.ok([134, 139].includes(ended.exitCode ?? 0), `exit code ${ended.exitCode}`);
    const [once, again] = [await kept(), await retried()];
    assert.deepEqual(again.failures, [], "callers that retry, as SDKs do, notice nothing");
    // Its connections broke, or were refused until its endpoint was withdrawn. No other call was refused.
    const outcomes = Object.keys(once.others);
    assert.deepEqual(
      outcomes.filter((outcome) => !/^(answer )?(ECONN(RESET|REFUSED))/.test(outcome)),
      [],
    );
    await release.ready("proxy", 2);
    assert.deepEqual((await restartsOf(other.name)).count, 0);
    const after = await (await release.startLoad(5, "kept", 6, 40))();
    assert.deepEqual(after.failures, []);
  });
});
