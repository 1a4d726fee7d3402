/**
 * Probes a provider: does it answer GET with the expected status in time? Obeys the same destination rules as any call.
 */

import type { HealthCheckConfig } from "../config/provider.ts";
import { authorizedCall } from "../providers/authorized-call.ts";
import type { AuthEnvironment, Outgoing } from "../providers/provider.ts";
import type { ProviderEntry } from "../snapshot/snapshot.ts";
import { causeInWords, causeOf, tokenCauseOf } from "../wire/causes.ts";
import type { Upstreams } from "../wire/upstream.ts";
import type { Probe } from "./health-checks.ts";

/** Bytes read of an answer; the rest is not awaited. */
const maxBytes = 262_144;

async function authorized(
  entry: ProviderEntry,
  check: HealthCheckConfig,
  auth: AuthEnvironment,
): Promise<Outgoing | string> {
  const outgoing: Outgoing = {
    method: "GET",
    path: `${entry.account.basePath}${check.path}`,
    headers: { accept: "application/json" },
    body: null,
  };
  try {
    return await authorizedCall(entry, outgoing, auth);
  } catch (thrown) {
    return `no token for the provider: ${causeInWords(tokenCauseOf(thrown))}`;
  }
}

function ask(
  upstreams: Upstreams,
  entry: ProviderEntry,
  check: HealthCheckConfig,
  outgoing: Outgoing,
): Promise<string | null> {
  return new Promise((resolve) => {
    let status = 0;
    let bytes = 0;
    const timer = setTimeout(() => settle("no answer in time", true), check.timeoutMs);
    const settle = (reason: string | null, cut: boolean): void => {
      clearTimeout(timer);
      resolve(reason);
      // Deferred, since `call` isn't assigned yet while `send` runs.
      if (cut) queueMicrotask(() => call.abort());
    };
    const verdict = (): string | null =>
      status === check.expectedStatus ? null : `status ${status} instead of ${check.expectedStatus}`;
    const call = upstreams.send(entry.address, outgoing, {
      head: (code) => {
        status = code;
      },
      data(chunk) {
        bytes += chunk.length;
        if (bytes > maxBytes) settle(verdict(), true);
        return true;
      },
      end: () => settle(verdict(), false),
      error: (_kind, cause) => settle(causeInWords(causeOf(cause, status !== 0)), false),
    });
  });
}

export function prober(upstreams: Upstreams, auth: AuthEnvironment): Probe {
  return async (entry, check) => {
    const outgoing = await authorized(entry, check, auth);
    return typeof outgoing === "string" ? outgoing : ask(upstreams, entry, check, outgoing);
  };
}
