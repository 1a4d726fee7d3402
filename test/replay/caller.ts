/** Callers in virtual time: through the gateway's own stages from shaping to dispatch, or straight to the provider. */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import { parseBody } from "../../proxy/call/received.ts";
import { failure, isFailure } from "../../proxy/failure.ts";
import { dispatch } from "../../proxy/pipeline/dispatch.ts";
import type { Dispatcher } from "../../proxy/pipeline/dispatch-request.ts";
import { CallPlan, roughPromptTokens } from "../../proxy/pipeline/plan.ts";
import type { Masked, Missed } from "../../proxy/pipeline/proof.ts";
import type { Admitted } from "../../proxy/pipeline/reservation.ts";
import { resolveTargets, route } from "../../proxy/pipeline/route.ts";
import { shape } from "../../proxy/pipeline/shape.ts";
import type { TargetRouting } from "../../proxy/routing/target-routing.ts";
import type { Snapshot } from "../../proxy/snapshot/snapshot.ts";
import { ClientConnection } from "../../proxy/wire/client.ts";
import type { ClientExchange } from "../../proxy/wire/client-exchange.ts";
import type { SimulatedProvider } from "./provider.ts";

export interface Reply {
  ok: boolean;
  attempts: number;
  provider: string;
  /** Milliseconds to the first byte, or to the failure. */
  waitedMs: number;
}

/** How long a caller waits for the first byte. */
export const patienceMs = 30_000;

const bodyOf = (stream: boolean): Buffer =>
  Buffer.from(JSON.stringify({ model: "gpt-4o", stream, messages: [{ role: "user", content: "Hi" }], max_tokens: 20 }));

/** What came back: when it began, and all of it. */
class Received {
  readonly #nowMs: () => number;
  readonly #beganMs: number;
  text = "";
  firstByteMs: number | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#beganMs = nowMs();
  }

  take(bytes: Uint8Array | string): true {
    this.firstByteMs ??= this.#nowMs() - this.#beganMs;
    this.text += Buffer.from(bytes).toString("utf8");
    return true;
  }

  get waitedMs(): number {
    return this.firstByteMs ?? this.#nowMs() - this.#beganMs;
  }
}

/** An exchange without a socket. */
function exchange(into: Received): ClientExchange {
  const sent = { head: false, ended: false };
  return {
    method: "POST",
    url: "/replay",
    httpVersion: "1.1",
    rawHeaders: [],
    headers: {},
    socket: { remoteAddress: "" } as Socket,
    complete: true,
    get headSent() {
      return sent.head;
    },
    get ended() {
      return sent.ended;
    },
    whole: () => "gone",
    bodyStream: () => Readable.from([]),
    continue: () => undefined,
    head() {
      sent.head = true;
    },
    write: (bytes) => into.take(bytes),
    onDrain: () => undefined,
    end(bytes) {
      sent.ended = true;
      if (bytes !== undefined) into.take(bytes);
    },
    onGone: () => undefined,
    destroy: () => undefined,
  };
}

const connection = (into: Received): ClientConnection => new ClientConnection(exchange(into), "replay");

const complete = (text: string, stream: boolean): boolean =>
  stream ? text.endsWith("data: [DONE]\n\n") : text.includes('"Hello there"');

export async function throughGateway(
  snapshot: Snapshot,
  dispatcher: Dispatcher & { routing: TargetRouting },
  stream: boolean,
): Promise<Reply> {
  const beganMs = dispatcher.nowMs();
  const path = snapshot.paths.get("/replay");
  const received = parseBody(bodyOf(stream));
  if (isFailure(received)) throw new Error(received.message);
  const identity = {
    anonymous: true,
    failure: failure("missing_api_key", ""),
  } as const;
  const routed = path && route(path, received.model, identity);
  if (routed === undefined || isFailure(routed)) throw new Error("the policy of the replay serves nothing");
  const shaped = shape(received as Masked, { routed, format: "openai.chat", identity, nowMs: beganMs });
  if (isFailure(shaped)) throw new Error(shaped.message);
  const targets = resolveTargets(routed.route, shaped.model);
  const planned = dispatcher.routing.plan(
    new CallPlan(shaped, routed.route, targets, identity, { header: () => null }, ""),
  );
  const got = new Received(dispatcher.nowMs);
  const outcome = await dispatch(
    {
      admitted: {} as Admitted,
      missed: {} as Missed,
      client: connection(got),
      shaped,
      route: routed.route,
      targets: planned,
      deadlineMs: beganMs + (targets[0]?.entry.account.config.timeouts.totalMs ?? 0),
      forwarded: {},
      promptTokens: roughPromptTokens(received),
      cover: () => true,
      limits: { maxReplyBytes: 1_000_000, maxStreamBytes: 1_000_000, stalledClientMs: 60_000 },
      replyHeaders: () => ({}),
    },
    dispatcher,
  );
  return {
    ok:
      (outcome.kind === "answered" || outcome.kind === "abandoned") &&
      complete(got.text, stream) &&
      got.waitedMs <= patienceMs,
    attempts: outcome.attempts.length,
    provider: outcome.kind === "failed" ? "" : (outcome.served?.target.config.name ?? ""),
    waitedMs: got.waitedMs,
  };
}

/** One attempt, as an application without a gateway makes it. */
export function direct(provider: SimulatedProvider, nowMs: () => number, stream: boolean): Promise<Reply> {
  const got = new Received(nowMs);
  return new Promise((resolve) => {
    let status = 0;
    const done = (ok: boolean): void => {
      clearTimeout(timer);
      const { waitedMs } = got;
      resolve({
        ok: ok && status === 200 && complete(got.text, stream) && waitedMs <= patienceMs,
        attempts: 1,
        provider: "",
        waitedMs,
      });
    };
    const call = provider.send(
      { method: "POST", path: "/", headers: {}, body: bodyOf(stream) },
      {
        head: (code) => {
          status = code;
        },
        data: (chunk) => got.take(chunk),
        end: () => done(true),
        error: () => done(false),
      },
    );
    const timer = setTimeout(() => {
      if (got.firstByteMs !== null) return;
      call.abort();
      done(false);
    }, patienceMs);
  });
}
