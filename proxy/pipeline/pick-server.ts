/**
 * Part of an attempt at a pool with an endpoint picker: asks the picker which server takes it, and reports the
 * outcome to the picker.
 */
import { Buffer } from "node:buffer";
import type { ProviderError } from "../dialects/canonical.ts";
import type { PickerCause, PickResult } from "../picker/picker.ts";
import type { Pickers } from "../picker/pickers.ts";
import type { Outgoing } from "../providers/provider.ts";
import type { PodSeat } from "../routing/pools.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { PodEntry, ProviderEntry } from "../snapshot/snapshot.ts";
import type { Upstreams } from "../wire/upstream.ts";
import { outOfTime } from "./attempt-errors.ts";
import { asProviderError } from "./provider-error.ts";

const unchosen = asProviderError(
  "Unavailable",
  "upstream_unreachable",
  "The provider's endpoint picker chose no server for the call. Try again later.",
);
const late = asProviderError(
  "Timeout",
  "upstream_timeout",
  "The provider's endpoint picker chose no server in time. Try again later.",
);

/** What a picker may see of a call's headers besides those of its own protocol; never a credential. */
const shownHeaders: ReadonlySet<string> = new Set(["content-type", "accept", "traceparent", "tracestate"]);
const ownHeaders = "x-gateway-inference-";

function shown(
  { method, path, headers, body }: Outgoing,
  requestId: string,
  authority: string,
): Record<string, string> {
  const out: Record<string, string> = { ":method": method, ":path": path, ":authority": authority };
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (shownHeaders.has(lower) || lower.startsWith(ownHeaders)) out[lower] = value;
  }
  out["x-request-id"] = requestId;
  out["content-length"] = String(body === null ? 0 : Buffer.byteLength(body));
  return out;
}

const headerText = /^[\t\x20-\x7e\x80-\xff]{0,8192}$/;

/**
 * Adds the headers that the picker sets for the server, such as the one that names the server for the prompt. Existing
 * headers stay as they are.
 */
function withHeaders(outgoing: Outgoing, added: Readonly<Record<string, string>>): Outgoing {
  const names = new Set(Object.keys(outgoing.headers).map((name) => name.toLowerCase()));
  const fresh = Object.entries(added).filter(
    ([name, value]) => /^x-[a-z0-9-]+$/.test(name) && !names.has(name) && headerText.test(value),
  );
  return fresh.length === 0
    ? outgoing
    : { ...outgoing, headers: { ...outgoing.headers, ...Object.fromEntries(fresh) } };
}

/** The first of the chosen servers that the call has not tried, else the first. Servers outside the pool don't count. */
function podIn({ pods = [] }: ProviderEntry, servers: readonly string[], { untried }: PodSeat): PodEntry | null {
  const chosen = servers.flatMap((server) => pods.find(({ name }) => name === server) ?? []);
  return chosen.find(({ name }) => untried === null || untried.includes(name)) ?? chosen[0] ?? null;
}

/** The server of an attempt. */
export interface Choice {
  outgoing: Outgoing;
  pod: PodEntry;
  /** A sender that also reports the outcome to the picker. */
  reporting(upstreams: Pick<Upstreams, "send">): Pick<Upstreams, "send">;
  over(): void;
}

export interface NoChoice {
  error: ProviderError;
  cause: PickerCause | "picker_refused";
  /** The picker's answer to the call, in place of a server's; null if it failed. */
  answer: { status: number; body: Buffer } | null;
}

export interface PickQuestion {
  target: ResolvedTarget;
  outgoing: Outgoing;
  seat: PodSeat;
  pickers: Pickers;
  requestId: string;
  remainingMs: number;
}

/** The proxy's own choice, which isn't reported to the picker. */
const ownChoice = ({ outgoing, seat }: PickQuestion): Choice => ({
  outgoing,
  pod: seat.pod,
  reporting: (upstreams) => upstreams,
  over: () => undefined,
});

function noChoice(question: PickQuestion, result: Exclude<PickResult, { kind: "servers" }>): NoChoice | Choice {
  const { target, pickers, remainingMs } = question;
  const { id, pool } = target.entry.account.config;
  if (result.kind === "refused") {
    pickers.note(id, "refused", result);
    const { status, body } = result;
    return {
      error: asProviderError("ServerError", "upstream_error", "", status),
      cause: "picker_refused",
      answer: { status, body },
    };
  }
  pickers.note(id, pool?.picker?.failOpen === true ? "open" : "failed", result);
  if (pool?.picker?.failOpen === true) return ownChoice(question);
  const isLate = result.cause === "picker_timeout";
  const isCallers = isLate && remainingMs <= (pool?.picker?.timeoutMs ?? 0);
  return { error: isCallers ? outOfTime : isLate ? late : unchosen, cause: result.cause, answer: null };
}

const foreign = {
  kind: "failed",
  cause: "picker_invalid",
  why: "it chose a server that is not a ready one of the pool",
} as const;

/** The target's pool must have a picker. */
export async function chooseServer(question: PickQuestion): Promise<Choice | NoChoice> {
  const { target, outgoing, seat, pickers, requestId, remainingMs } = question;
  const { entry } = target;
  const config = entry.account.config.pool?.picker;
  if (config === undefined) return ownChoice(question);
  const headers = shown(outgoing, requestId, new URL(entry.address.origin).host);
  const body = Buffer.from(outgoing.body ?? "");
  const within = { ...config, timeoutMs: Math.min(config.timeoutMs, remainingMs) };
  // A picker may know Pods that are not published yet: asked again, it chooses among those that are.
  for (const among of [seat.untried, seat.untried ?? (entry.pods ?? []).map(({ name }) => name)]) {
    const call = await pickers.pick(within, { headers, body, among });
    const result = await call.result;
    if (result.kind !== "servers") {
      call.over();
      return noChoice(question, result);
    }
    const pod = podIn(entry, result.servers, seat);
    if (pod === null) {
      call.over();
      continue;
    }
    seat.move(pod);
    pickers.note(entry.account.config.id, "picked", result);
    return {
      outgoing: withHeaders(outgoing, result.headers),
      pod,
      reporting: (upstreams) => ({
        send: (address, request, handler) =>
          upstreams.send(address, request, {
            get gathers() {
              return handler.gathers ?? false;
            },
            head(status, answered) {
              call.answered(status, String(answered["content-type"] ?? ""), pod.name);
              handler.head(status, answered);
            },
            data: (chunk) => handler.data(chunk),
            end: () => handler.end(),
            error: (kind, cause) => handler.error(kind, cause),
          }),
      }),
      over: () => call.over(),
    };
  }
  return noChoice(question, foreign);
}
