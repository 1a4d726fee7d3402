/** How a call ends: its answer, its settlement, and what is sent of an answer that was held. */
import { type Failure, failure, isFailure } from "../failure.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { IndexedSet } from "../wire/indexed-set.ts";
import type { CallState } from "./call-state.ts";
import { endOnRecord } from "./on-record.ts";
import { answerFailure, answerJson } from "./respond.ts";

function fail({ client, surface, record }: CallState, failed: Failure): void {
  answerFailure(client, surface, failed, record);
}

const broken = failure("internal_error", "The gateway failed on this request. Report it with the request id.");

/** Answers a call on which the gateway itself failed. */
function broke(call: CallState, cause: unknown): void {
  const { gateway, client } = call;
  gateway.unexpected(cause, client.requestId);
  try {
    fail(call, broken);
  } catch (again) {
    gateway.unexpected(again, client.requestId);
  }
}

/** Answers with the gateway's own JSON. */
export function answer({ client }: CallState, result: object | Failure): Failure | null {
  if (isFailure(result)) return result;
  answerJson(client, result);
  return null;
}

export async function answerLater(
  call: CallState,
  result: object | Failure | Promise<object | Failure>,
): Promise<Failure | null> {
  return answer(call, await result);
}

/** Settles what the call used. Returns whether its answer is held. */
function settle(call: CallState): boolean {
  const { record, client, admitted, place } = call;
  record.sentBytes = client.sentBytes;
  record.durationMs ||= call.elapsedMs();
  record.trace?.end();
  admitted?.settle(record);
  place?.release();
  return client.holding;
}

/** Sends the held answer, or the held end of a stream; or a refusal in its place. */
async function release(call: CallState): Promise<void> {
  const { client } = call;
  const unaudited = await endOnRecord(call.gateway.audit, call.record, client);
  if (unaudited) client.cut();
  if (unaudited && !client.closed) fail(call, unaudited);
  client.release();
}

export type ActiveCalls = Pick<IndexedSet<ClientConnection>, "delete">;

function note({ gateway, record, sample }: CallState, wasHeld: boolean): void {
  gateway.record(record, wasHeld);
  sample?.over();
}

async function releaseAndNote(call: CallState, active: ActiveCalls): Promise<void> {
  try {
    await release(call);
    note(call, true);
  } catch (cause) {
    call.gateway.unexpected(cause, call.client.requestId);
  } finally {
    active.delete(call.client);
  }
}

function close(call: CallState, active: ActiveCalls): void {
  try {
    if (settle(call)) {
      void releaseAndNote(call, active);
      return;
    }
    note(call, false);
  } catch (cause) {
    call.gateway.unexpected(cause, call.client.requestId);
  }
  active.delete(call.client);
}

/** Answers a call that failed (null: it was answered), settles it and records it. Never throws. */
export function endCall(call: CallState, failed: Failure | null, active: ActiveCalls): void {
  try {
    if (failed !== null) fail(call, failed);
  } catch (cause) {
    broke(call, cause);
  }
  close(call, active);
}

/** The same for a call on which the gateway itself failed. */
export function breakCall(call: CallState, cause: unknown, active: ActiveCalls): void {
  broke(call, cause);
  close(call, active);
}
