/** Which server of a pool takes a call, and why. For `explain`, which knows no load. */

import type { Shaped } from "../call/shaped.ts";
import { nounCount } from "../config/noun-count.ts";
import type { PoolConfig } from "../config/pool.ts";
import { choosePod } from "../routing/pod-choice.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { openingOf } from "./opening.ts";

const counted = (servers: number): string => (servers === 1 ? "the only server" : `${servers} servers`);

function picked({ pool, failOpen, addresses }: NonNullable<PoolConfig["picker"]>, servers: number): string {
  const failing = failOpen ? "the proxy chooses by the pool's strategy" : "the next target is asked";
  const missing = addresses.length === 0 ? ", and no picker is ready now" : "";
  return `the endpoint picker of InferencePool ${pool} chooses among ${counted(servers)}; where it fails, ${failing}${missing}`;
}

function byPrefix({ pods, mostInFlight }: PoolConfig, shaped: Shaped, session: string): string | null {
  const affinity = session || openingOf(shaped.received.json);
  if (affinity === "") return null;
  const idle = pods.map((name) => ({ name, inFlight: 0, spared: false }));
  const server = pods[choosePod(idle, { strategy: "Prefix", mostInFlight, affinity, turn: 0 })];
  const kept = session === "" ? "conversations that begin like this one" : "this session";
  return `${server} of ${counted(pods.length)}, by Prefix: it is kept for ${kept}, unless it is loaded above 1.25 times the average`;
}

/** Returns null if the target's provider isn't a pool. */
export function serverOf({ entry }: ResolvedTarget, shaped: Shaped, session: string): string | null {
  const { pool } = entry.account.config;
  if (pool === undefined) return null;
  if (pool.pods.length === 0) return "no server of the pool is ready";
  const bound =
    pool.mostInFlight === null ? "" : `; at most ${nounCount(pool.mostInFlight, "call")} of a proxy at each`;
  if (pool.picker !== undefined) return picked(pool.picker, pool.pods.length) + bound;
  const prefix = pool.strategy === "Prefix" ? byPrefix(pool, shaped, session) : null;
  return (
    (prefix ?? `the one of ${counted(pool.pods.length)} with the fewest calls of the proxy under way, by LeastLoad`) +
    bound
  );
}
