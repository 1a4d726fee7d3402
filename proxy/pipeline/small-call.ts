/** A call of the gateway's own to a provider, whose whole answer is small: a vector, a number of tokens. */
import { Buffer } from "node:buffer";
import type { Outgoing } from "../providers/provider.ts";
import { type AttemptCause, causeOf } from "../wire/causes.ts";
import type { ResponseHeaders, Upstreams } from "../wire/upstream.ts";
import type { UpstreamAddress } from "../wire/upstream-address.ts";

const maxBytes = 1_048_576;

export interface SmallReply {
  status: number;
  headers: ResponseHeaders;
  body: Buffer;
}

/**
 * Returns null if the call failed, the answer is too large, or `signal` aborted it. `broke` is called with the cause of
 * a connection failure.
 */
export function sendSmall(
  upstreams: Pick<Upstreams, "send">,
  address: UpstreamAddress,
  outgoing: Outgoing,
  signal: AbortSignal,
  broke: (cause: AttemptCause) => void,
): Promise<SmallReply | null> {
  return new Promise((resolve) => {
    let status = 0;
    let headers: ResponseHeaders = {};
    let size = 0;
    const chunks: Buffer[] = [];
    const call = upstreams.send(address, outgoing, {
      head(code, given) {
        status = code;
        headers = given;
      },
      data(chunk) {
        size += chunk.length;
        if (size > maxBytes) cut();
        else chunks.push(chunk);
        return true;
      },
      end: () => resolve({ status, headers, body: Buffer.concat(chunks) }),
      error(_kind, thrown) {
        broke(causeOf(thrown, status !== 0));
        resolve(null);
      },
    });
    const cut = (): void => {
      resolve(null);
      // Deferred: within `send`, the value that it returns is not available yet.
      queueMicrotask(() => call.abort());
    };
    signal.addEventListener("abort", cut, { once: true });
  });
}
