/**
 * Stage: pages of allowed origins may read answers, refusals included. A preflight is answered before authentication,
 * as browsers send no key with it.
 */
import { type Failure, failure } from "../failure.ts";
import type { ClientConnection } from "../wire/client.ts";

const exposed =
  "x-request-id, x-provider-used, x-sluice-attempts, x-sluice-dropped-params, x-sluice-cache, retry-after, x-should-retry, sunset";
/** Seconds for which a browser may keep the answer to a preflight. */
const maxAge = 600;
const headerList = /^[A-Za-z0-9-]+( *, *[A-Za-z0-9-]+)*$/;

const foreign = failure(
  "origin_not_allowed",
  "Pages of this origin may not call the gateway. The platform team can allow it in cors.allowedOrigins.",
);

function isPreflight(client: ClientConnection): boolean {
  return client.method === "OPTIONS" && client.header("access-control-request-method") !== null;
}

/** answered: nothing is left to do. null: go on. */
export function cors(client: ClientConnection, allowedOrigins: readonly string[]): "answered" | Failure | null {
  const origin = client.header("origin");
  if (origin === null) return null;
  const allowed = allowedOrigins.includes(origin);
  if (allowed)
    client.always((headers) =>
      Object.assign(headers, {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": exposed,
        vary: "origin",
      }),
    );
  if (!isPreflight(client)) return null;
  if (!allowed) return foreign;
  const asked = client.header("access-control-request-headers");
  client.head(204, {
    "access-control-allow-methods": "GET, POST",
    ...(asked !== null && asked.length <= 2048 && headerList.test(asked)
      ? { "access-control-allow-headers": asked }
      : {}),
    "access-control-max-age": maxAge,
    "content-length": 0,
  });
  client.end();
  return "answered";
}
