/** Chooses the server of a pool that takes a call. Pure: the load of each server is an argument. */
import type { PoolConfig } from "../config/pool.ts";

export interface PodLoad {
  name: string;
  /** Calls under way. */
  inFlight: number;
  /** Whether it failed recently, so that others come first. */
  spared: boolean;
}

export interface PodQuestion {
  strategy: PoolConfig["strategy"];
  mostInFlight: number | null;
  /** Calls with the same text should go to the same server; "" for no preference. */
  affinity: string;
  /** Increases with each call: breaks ties. */
  turn: number;
}

/**
 * How far above the average a server may be loaded before the next one by hash takes the call: "Consistent Hashing with
 * Bounded Loads" (https://arxiv.org/abs/1608.01350).
 */
const loadFactor = 1.25;

/** 32-bit FNV-1a with a final mix, so that names that differ in one character score far apart. */
function scoreOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The index of the pod with the fewest calls; `turn` decides between equals. */
function leastLoaded(pods: readonly PodLoad[], open: readonly number[], turn: number): number {
  const least = Math.min(...open.map((index) => (pods[index] as PodLoad).inFlight));
  const equals = open.filter((index) => pods[index]?.inFlight === least);
  return equals[turn % equals.length] ?? -1;
}

/** The first pod by hash that is not loaded above the bound. */
function byHash(pods: readonly PodLoad[], open: readonly number[], affinity: string): number {
  const key = scoreOf(affinity).toString(36);
  const total = open.reduce((sum, index) => sum + (pods[index] as PodLoad).inFlight, 0);
  const bound = Math.ceil((loadFactor * (total + 1)) / open.length);
  let chosen = -1;
  let best = -1;
  for (const index of open) {
    const { name, inFlight } = pods[index] as PodLoad;
    const score = inFlight < bound ? scoreOf(`${name}\n${key}`) : -1;
    if (score > best) [chosen, best] = [index, score];
  }
  return chosen;
}

/** The index of the pod for a call; -1 if none has room. */
export function choosePod(pods: readonly PodLoad[], { strategy, mostInFlight, affinity, turn }: PodQuestion): number {
  const hasRoom = pods.flatMap(({ inFlight }, index) =>
    mostInFlight === null || inFlight < mostInFlight ? [index] : [],
  );
  const well = hasRoom.filter((index) => pods[index]?.spared === false);
  const open = well.length > 0 ? well : hasRoom;
  if (open.length === 0) return -1;
  return strategy === "Prefix" && affinity !== "" ? byHash(pods, open, affinity) : leastLoaded(pods, open, turn);
}
