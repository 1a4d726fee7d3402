/** How long a change takes until every proxy of an installation serves it. */
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../harness/until.ts";
import type { Installation } from "./installation.ts";

async function revisionsOf({ node }: Installation, addresses: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(
    addresses.map((address) => node.must("curl", "-s", "-m", "5", `http://${address}:9090/metrics`)),
  );
  return texts.map((text) => /^ai_gateway_config_info\{[^}]*revision="([^"]+)"/m.exec(text)?.[1] ?? "");
}

/** Milliseconds of each round, sorted. `change` must lead to another config each time. */
export async function liveTimes(
  release: Installation,
  rounds: number,
  change: (round: number) => Promise<unknown>,
): Promise<number[]> {
  const addresses = (await release.pods("proxy")).map(({ ip }) => ip);
  const took: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = await revisionsOf(release, addresses);
    const began = performance.now();
    await change(round);
    await until(
      "the change is live",
      async () => {
        const now = await revisionsOf(release, addresses);
        if (now.some((revision, index) => revision === before[index])) throw new Error(now.join(" "));
      },
      90_000,
      20,
    );
    took.push(performance.now() - began);
    await sleep(200);
  }
  return took.sort((a, b) => a - b);
}

export const quantile = (sorted: readonly number[], share: number): number =>
  Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0);
