/** Puts together what the stages of every call work with. */
import { BodyRoom } from "./call/body-room.ts";
import type { CallRecord } from "./call/record.ts";
import { SessionRoom } from "./call/session-room.ts";
import type { Gateway } from "./pipeline/gateway.ts";
import { UsageHabits } from "./pipeline/usage-habits.ts";
import type { ProxySettings } from "./settings.ts";
import type { Batched } from "./telemetry/batched.ts";
import type { Logger } from "./telemetry/log.ts";
import { TextPool, usualBounds } from "./text-work/pool.ts";
import { WebSockets } from "./web-sockets/server.ts";
import { Deadlines } from "./wire/deadlines.ts";

/** Everything that a call's stages work with, except what is created here. */
type GatewayParts = Omit<
  Gateway,
  | "bodies"
  | "webSockets"
  | "texts"
  | "minUploadBytesPerSecond"
  | "sessionHeader"
  | "deadlines"
  | "habits"
  | "sessions"
  | "nowMs"
  | "random"
  | "limits"
  | "record"
  | "unexpected"
>;

/** How often a WebSocket is pinged, so that a client that is gone is noticed and idle connections are kept. */
const pingMs = 25_000;

export function gatewayOf(
  settings: ProxySettings,
  log: Logger,
  records: Batched<CallRecord>,
  parts: GatewayParts,
): Gateway {
  const bodies = new BodyRoom({
    maxHeldBytes: settings.maxHeldBodyBytes,
    maxCallerBytes: settings.maxCallerBodyBytes,
  });
  return {
    ...parts,
    bodies,
    webSockets: settings.webSockets
      ? new WebSockets({
          idleMs: settings.webSocketIdleMs,
          maxMs: settings.webSocketMaxMs,
          pingMs,
          maxConnections: settings.maxWebSockets,
          maxRememberedBytes: settings.webSocketMemoryBytes,
          bodies,
          minBytesPerSecond: settings.minUploadBytesPerSecond,
        })
      : null,
    texts: new TextPool({ threads: settings.textThreads, ...usualBounds }),
    minUploadBytesPerSecond: settings.minUploadBytesPerSecond,
    sessionHeader: settings.sessionHeader,
    deadlines: new Deadlines(),
    habits: new UsageHabits(),
    sessions: new SessionRoom(),
    nowMs: Date.now,
    random: Math.random,
    limits: {
      maxReplyBytes: settings.maxReplyBytes,
      maxStreamBytes: settings.maxStreamBytes,
      stalledClientMs: settings.stalledClientMs,
      keepAliveMs: settings.streamKeepAliveMs,
    },
    record(call, audited = false) {
      if (!audited) parts.audit?.write("call", call);
      records.add(call);
    },
    unexpected: (cause, requestId) =>
      log.error(
        {
          request_id: requestId,
          err: cause instanceof Error ? { message: cause.message, stack: cause.stack } : String(cause),
        },
        "unexpected failure",
      ),
  };
}
