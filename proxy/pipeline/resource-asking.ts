/** One question to the provider that keeps a caller's files, batches and jobs, and its answer to the caller. */
import { Buffer } from "node:buffer";
import type { Readable } from "node:stream";
import { type Failure, failure, isFailure } from "../failure.ts";
import type { LineEditor } from "../ids/lines.ts";
import type { ResourceIds } from "../ids/resource-ids.ts";
import { authorizedCall } from "../providers/authorized-call.ts";
import type { AuthEnvironment, Outgoing } from "../providers/provider.ts";
import type { ProviderEntry } from "../snapshot/snapshot.ts";
import { tokenCauseOf } from "../wire/causes.ts";
import type { ClientConnection } from "../wire/client.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { withOwnResults } from "./message-batches.ts";
import type { Unambiguous } from "./proof.ts";
import { noToken, toFailure } from "./provider-error.ts";
import { type ResourceEnvironment, ResourceExchange, type WholeAnswer } from "./resource-exchange.ts";
import type { ResourceOperation } from "./resource-paths.ts";
import type { ResourceTarget } from "./resource-target.ts";
import { failureOfUpload } from "./upload.ts";

export const resourceNotServed = failure(
  "unknown_url",
  "No policy of yours passes this through. Ask the platform team for one with spec.resources.",
);

export interface PreparedExchange {
  client: Unambiguous;
  operation: ResourceOperation;
  target: ResourceTarget;
  environment: ResourceEnvironment;
  ids: ResourceIds | null;
}

/** Excludes the body, which no provider with these endpoints covers by a signature. `path` includes the query. */
function outgoingOf(
  client: ClientConnection,
  operation: ResourceOperation,
  path: string,
  { forwarded, ids }: ResourceEnvironment,
): Outgoing {
  const headers = { ...forwarded };
  // Opening ids changes the body's length.
  const names = ids == null ? ["content-type", "content-length"] : ["content-type"];
  for (const name of operation.method === "POST" ? names : []) {
    const value = client.header(name);
    if (value !== null) headers[name] = value;
  }
  return { method: operation.method, path, headers, body: null };
}

export const withQuery = (path: string, query: URLSearchParams): string =>
  query.size === 0 ? path : `${path}?${query}`;

async function authorized(
  outgoing: Outgoing,
  entry: ProviderEntry,
  auth: AuthEnvironment,
): Promise<Outgoing | Failure> {
  try {
    return await authorizedCall(entry, outgoing, auth);
  } catch (thrown) {
    const cause = tokenCauseOf(thrown);
    return toFailure(noToken(cause), cause);
  }
}

/** `whole`: returns the answer instead of sending it. Otherwise returns a Failure, or null if the answer was sent. */
export async function askKeeper(
  { client, operation, target, environment, ids }: PreparedExchange,
  path: string,
  body: Readable | Buffer | null,
  whole: boolean,
  results?: LineEditor,
): Promise<Failure | WholeAnswer | null> {
  const { entry, route } = target;
  const bare = outgoingOf(client, operation, path, environment);
  const outgoing = await authorized(bare, entry, environment.auth);
  if (isFailure(outgoing)) return outgoing;
  return new Promise((resolve) => {
    const lines = results ?? (ids === null || whole ? null : ids.downloadLines());
    const readsOn = results !== undefined;
    const exchange = new ResourceExchange({ client, entry, route, environment, whole, lines, readsOn }, resolve);
    if (body !== null && !Buffer.isBuffer(body))
      body.once("error", (cause) => {
        const refusal = failureOfUpload(cause);
        if (refusal !== null) exchange.refuse(refusal);
      });
    exchange.begin(environment.upstreams.send(entry.address, { ...outgoing, body }, exchange));
  });
}

/** `batches`: the caller's objects in the answer, if it isn't one object. */
export async function reply(
  { client, operation, environment }: PreparedExchange,
  answer: Failure | WholeAnswer | null,
  edit: (json: unknown) => unknown,
  batches?: readonly unknown[],
): Promise<Failure | null> {
  if (answer === null || isFailure(answer)) return answer;
  if (operation.resource === "Batches") await environment.readBatches?.(batches ?? [answer.json]);
  void client.reply(200, answer.headers, JSON.stringify(withOwnResults(edit(answer.json))));
  return null;
}

/** The request's body, which is small enough to be read before it is sent. */
export async function readObject(
  { client, environment }: PreparedExchange,
  maxBytes: number,
): Promise<{ json: JsonObject } | Failure> {
  const { minUploadBytesPerSecond: minBytesPerSecond, hold } = environment;
  const grow = (bytes: number): boolean => (hold?.(bytes) ?? null) === null;
  const read = await client.readBody(maxBytes, "", { minBytesPerSecond, grow });
  if (isFailure(read)) return read;
  const json = jsonIn(read.toString("utf8"));
  return isObject(json) ? { json } : failure("invalid_json", "The request body must be a JSON object.");
}
