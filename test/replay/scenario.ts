/**
 * The guide's second use case: a primary provider with a limit of 100 requests a minute under 300 a minute, then hard
 * failures, then slowness. The same callers once through the gateway and once straight to the primary, in virtual time.
 */

import { compile } from "../../operator/compile/compile.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { encode, sha256Hex } from "../../proxy/config/encode.ts";
import { Pickers } from "../../proxy/picker/pickers.ts";
import type { Dispatcher } from "../../proxy/pipeline/dispatch-request.ts";
import { UsageHabits } from "../../proxy/pipeline/usage-habits.ts";
import { providers as registry } from "../../proxy/providers/registry.generated.ts";
import { TargetRouting } from "../../proxy/routing/target-routing.ts";
import { build } from "../../proxy/snapshot/build.ts";
import type { Snapshot } from "../../proxy/snapshot/snapshot.ts";
import { Deadlines } from "../../proxy/wire/deadlines.ts";
import { noCloud } from "../proxy/providers/drive.ts";
import { direct, type Reply, throughGateway } from "./caller.ts";
import { fine, SimulatedProvider, simulatedUpstreams, type Weather } from "./provider.ts";
import { virtualTime } from "./virtual-time.ts";

const calledOff = (timer: NodeJS.Timeout) => (): void => clearTimeout(timer);

export interface Phase {
  name: string;
  minutes: number;
  primary: Weather;
  secondary: Weather;
}

const limited: Weather = { ...fine, perMinute: 100 };
/** Nobody is perfect: one call in five hundred fails at the second provider, too. */
const usual: Weather = { ...fine, says503: 0.002, firstByteMs: [300, 1_200] };

export const phases: readonly Phase[] = [
  { name: "three times its limit", minutes: 5, primary: limited, secondary: usual },
  {
    name: "hard failures",
    minutes: 3,
    primary: { ...limited, refuses: 0.5, says503: 0.3, resets: 0.2 },
    secondary: usual,
  },
  { name: "slowness", minutes: 3, primary: { ...limited, firstByteMs: [20_000, 90_000] }, secondary: usual },
  { name: "half of it fails", minutes: 3, primary: { ...limited, resets: 0.25, says503: 0.25 }, secondary: usual },
  { name: "recovery", minutes: 3, primary: limited, secondary: usual },
];

const down: Weather = { ...fine, refuses: 1 };
export const outage: readonly Phase[] = [
  { name: "every provider is down", minutes: 5, primary: down, secondary: down },
];

export interface Row {
  phase: string;
  calls: number;
  direct: number;
  gateway: number;
  attempts: number;
  /** Of the calls that the gateway answered, those that the secondary did. */
  bySecondary: number;
  /** 95th percentile of the wait for the first byte through the gateway, in milliseconds. */
  p95Ms: number;
}

export interface Result {
  rows: Row[];
  total: Row;
  /** Calls that each simulated provider saw from the gateway. */
  upstreamCalls: { primary: number; secondary: number };
}

const perMinute = 300;
const minuteMs = 60_000;
/** Until the last call has ended. */
const restMs = 600_000;

const object = (kind: WorldObject["kind"], name: string, spec: unknown): WorldObject => ({
  kind,
  meta: { name, namespace: "replay", uid: name, generation: 1, createdAtMs: 1, labels: {} },
  spec,
  status: {},
});

/** What a platform team would write: two targets named, and when slow is too slow. `spec`: of both providers. */
function snapshotOf(nowMs: number, spec: Record<string, unknown>): Snapshot {
  const provider = (name: string): WorldObject =>
    object("LLMProvider", name, {
      type: "OpenAICompatible",
      endpoint: `http://${name}.example.com/v1`,
      models: [{ name: "gpt-4o" }],
      timeouts: { response: "15s", firstToken: "15s", total: "60s" },
      ...spec,
    });
  const policy = object("RoutingPolicy", "chat", {
    match: { models: ["gpt-4o"], pathPrefix: "/replay" },
    access: { anonymous: true },
    routing: {
      slowAfter: "5s",
      targets: [{ provider: { name: "primary" } }, { provider: { name: "secondary" }, priority: 2 }],
    },
  });
  const objects = [provider("primary"), provider("secondary"), policy];
  const settings = { proxy: { maxBodyBytes: 1_000_000 }, sharingNamespaces: [] };
  const { config, verdicts } = compile(
    { world: { objects, namespaces: { replay: {} }, secrets: {} }, settings, previous: null, nowMs },
    capabilitiesByType,
  );
  const wrong = verdicts.flatMap((verdict) => [...verdict.accepted, ...verdict.resolvedRefs]);
  if (wrong.length > 0) throw new Error(wrong.map((one) => one.message).join("; "));
  const pepper = new Uint8Array(32);
  return build(config, encode(config, sha256Hex(pepper)).manifest, { pepper, credentials: new Map() }, registry);
}

interface Tally {
  phase: string;
  direct: Reply[];
  gateway: Reply[];
}

function rowOf({ phase, direct: plain, gateway }: Tally): Row {
  const waits = gateway.map((reply) => reply.waitedMs).sort((a, b) => a - b);
  const good = gateway.filter((reply) => reply.ok);
  return {
    phase,
    calls: gateway.length,
    direct: plain.filter((reply) => reply.ok).length,
    gateway: good.length,
    attempts: gateway.reduce((sum, reply) => sum + reply.attempts, 0),
    bySecondary: good.filter((reply) => reply.provider === "secondary").length,
    p95Ms: Math.round(waits[Math.floor(waits.length * 0.95)] ?? 0),
  };
}

/** `spec`: fields of both LLMProviders, in place of what the scenario says. */
export async function replay(script: readonly Phase[], seed = 1, spec: Record<string, unknown> = {}): Promise<Result> {
  const clock = virtualTime(seed);
  try {
    const startMs = clock.nowMs();
    const snapshot = snapshotOf(startMs, spec);
    let phase = script[0] as Phase;
    const primary = new SimulatedProvider(clock, () => phase.primary);
    const secondary = new SimulatedProvider(clock, () => phase.secondary);
    /** The direct callers' own: the two must not use up one another's limit. */
    const alone = new SimulatedProvider(clock, () => phase.primary);
    const upstreams = simulatedUpstreams(
      new Map([
        ["http://primary.example.com", primary],
        ["http://secondary.example.com", secondary],
      ]),
    );
    const dispatcher: Dispatcher & { routing: TargetRouting } = {
      upstreams,
      routing: new TargetRouting(clock),
      habits: new UsageHabits(),
      auth: {
        nowMs: clock.nowMs,
        token: () => Promise.reject(new Error("no tokens here")),
        forget: () => undefined,
        cloud: noCloud,
        send: () => Promise.reject(new Error("no calls of its own here")),
      },
      deadlines: new Deadlines({ nowMs: clock.nowMs, after: (ms, then) => calledOff(setTimeout(then, ms)) }),
      pickers: new Pickers(() => undefined),
      nowMs: clock.nowMs,
      random: clock.random,
    };
    const tallies: Tally[] = [];
    let atMs = startMs;
    for (const one of script) {
      const tally: Tally = { phase: one.name, direct: [], gateway: [] };
      tallies.push(tally);
      const calls = one.minutes * perMinute;
      setTimeout(() => {
        phase = one;
      }, atMs - startMs);
      for (let call = 0; call < calls; call++) {
        // Spread evenly, each with some luck in it.
        const dueMs = atMs - startMs + ((call + clock.random()) * one.minutes * minuteMs) / calls;
        setTimeout(() => {
          void throughGateway(snapshot, dispatcher, call % 2 === 0).then((reply) => tally.gateway.push(reply));
          void direct(alone, clock.nowMs, call % 2 === 0).then((reply) => tally.direct.push(reply));
        }, dueMs);
      }
      atMs += one.minutes * minuteMs;
    }
    await clock.runUntil(atMs + restMs);
    const all: Tally = {
      phase: "all",
      direct: tallies.flatMap((tally) => tally.direct),
      gateway: tallies.flatMap((tally) => tally.gateway),
    };
    return {
      rows: tallies.map(rowOf),
      total: rowOf(all),
      upstreamCalls: { primary: primary.calls, secondary: secondary.calls },
    };
  } finally {
    clock.restore();
  }
}
