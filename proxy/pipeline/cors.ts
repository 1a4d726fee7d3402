/**
 * Stage: lets pages of allowed origins read answers, including refusals. Preflights are answered before authentication,
 * as browsers send no key with them.
 */
import { type Failure, failure } from "../failure.ts";
import type { ClientConnection } from "../wire/client.ts";
import { promisedHeaders } from "../wire/headers.ts";

const methods = "GET, POST, DELETE";
/** Seconds for which a browser may keep the answer to a preflight. */
const maxAge = 600;
/** Header names are tokens (RFC 9110, 5.6.2). */
const headerList = /^[\w!#$%&'*+.^`|~-]+( *, *[\w!#$%&'*+.^`|~-]+)*$/;

export const foreign = failure(
  "origin_not_allowed",
  "Pages of this origin may not call the gateway. The platform team can allow it in cors.allowedOrigins.",
);

function isPreflight(client: ClientConnection): boolean {
  return client.method === "OPTIONS" && client.header("access-control-request-method") !== null;
}

/** Lets pages of allowed origins read the answer. Call it before anything is answered. */
export function allowOrigin(client: ClientConnection, allowedOrigins: readonly string[]): void {
  const origin = client.header("origin");
  if (origin !== null && allowedOrigins.includes(origin))
    client.always((headers) =>
      Object.assign(headers, {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": promisedHeaders,
        vary: "origin",
      }),
    );
}

/** "answered": nothing is left to do. null: continue. */
export function preflight(client: ClientConnection, allowedOrigins: readonly string[]): "answered" | Failure | null {
  const origin = client.header("origin");
  if (origin === null || !isPreflight(client)) return null;
  if (!allowedOrigins.includes(origin)) return foreign;
  const requested = client.header("access-control-request-headers");
  client.head(204, {
    "access-control-allow-methods": methods,
    ...(requested !== null && requested.length <= 2048 && headerList.test(requested)
      ? { "access-control-allow-headers": requested }
      : {}),
    "access-control-max-age": maxAge,
    "content-length": 0,
  });
  client.end();
  return "answered";
}
