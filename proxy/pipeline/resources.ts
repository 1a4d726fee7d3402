/** Files, batches and fine-tuning: streamed to and from the one provider that keeps them, without inspection. */
import { Buffer } from "node:buffer";
import type { Readable } from "node:stream";
import type { Circumstances } from "../access/rules.ts";
import type { Identity } from "../call/identity.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import type { ResourceIds } from "../ids/resource-ids.ts";
import { boundaryOf } from "../media/form.ts";
import type { PathEntry, Role } from "../snapshot/snapshot.ts";
import { isObject } from "../wire/json.ts";
import { denyByOrigin } from "./circumstances.ts";
import { sendMessageBatch } from "./message-batch-call.ts";
import type { Unambiguous } from "./proof.ts";
import {
  askKeeper,
  type PreparedExchange,
  readObject,
  reply,
  resourceNotServed,
  withQuery,
} from "./resource-asking.ts";
import type { ResourceEnvironment } from "./resource-exchange.ts";
import { listOwn } from "./resource-lists.ts";
import {
  idIn,
  isList,
  isMessageBatch,
  isOfAnthropic,
  type ResourceOperation,
  resourceQuery,
} from "./resource-paths.ts";
import type { ResourceTarget } from "./resource-target.ts";
import { denyByPolicyScope, missingPermission, offeredTo, resident } from "./route.ts";
import { asksForStream, keptResponse, notKept, notStreamed } from "./stored-responses.ts";
import { maxUploadBytes, tooLarge, uploadStream } from "./upload.ts";

export type { ResourceEnvironment };

/** Largest request for a batch or a job, in bytes. */
const maxRequestBytes = 1_048_576;

type Ids = ResourceIds | null;

/**
 * Selects the policy that serves the request, or says why this caller may not make it. `accountOf`: the provider that
 * keeps a sealed id's object.
 */
export function resourceTarget(
  operation: ResourceOperation,
  path: PathEntry,
  identity: Identity,
  call: Circumstances,
  roles: ReadonlyMap<string, Role>,
  accountOf: (id: string) => string | null = () => null,
): ResourceTarget | Failure {
  if (identity.anonymous) return identity.failure;
  const { resource } = operation;
  if (resource === "Responses") return keptResponse(operation, path, identity, call, roles, accountOf);
  const offered = path.routes.filter(
    (route) =>
      route.resources !== null &&
      route.config.resources?.kinds.includes(resource) &&
      (route.config.resources.api === "Messages") === isOfAnthropic(operation) &&
      offeredTo(route, identity),
  );
  const id = idIn(operation.path);
  const account = id === null ? null : accountOf(id);
  const route = offered.find(({ resources }) => resources?.account.config.id === account) ?? offered[0];
  if (route?.resources == null || !resident(route, route.resources)) return resourceNotServed;
  return (
    missingPermission(identity, "fine_tune_models", roles) ??
    denyByPolicyScope(route, identity) ??
    denyByOrigin(route, call) ?? { route, entry: route.resources }
  );
}

/** The path with the provider's own id. */
function openPath(path: string, ids: Ids): string | Failure {
  const sealed = idIn(path);
  if (ids === null || sealed === null) return path;
  const id = ids.open(sealed);
  return typeof id === "string" ? path.replace(sealed, () => encodeURIComponent(id)) : id;
}

function openQuery(url: string, ids: Ids): URLSearchParams | Failure {
  let failed: Failure | null = null;
  const query = resourceQuery(url, (sealed) => {
    const cursor = ids === null ? sealed : ids.openCursor(sealed);
    if (typeof cursor === "string") return cursor;
    failed ??= cursor;
    return "";
  });
  return failed ?? query;
}

/** Null if the answer was passed on, with any 2xx status. */
export async function passThrough(
  client: Unambiguous,
  operation: ResourceOperation,
  target: ResourceTarget,
  environment: ResourceEnvironment,
): Promise<Failure | null> {
  const { entry } = target;
  const ids = environment.ids ?? null;
  const opened = openPath(operation.path, ids);
  if (typeof opened !== "string") return opened;
  const query = openQuery(client.url, ids);
  if (isFailure(query)) return query;
  const path = entry.provider.resourcePath?.(opened, entry.account) ?? null;
  const isResponse = operation.resource === "Responses";
  if (path === null) return isResponse ? notKept : resourceNotServed;
  if (isResponse && asksForStream(client.url)) return notStreamed;
  if (Number(client.header("content-length") ?? 0) > maxUploadBytes) return tooLarge;
  return send({ client, operation, target, environment, ids }, path, query);
}

async function send(exchange: PreparedExchange, path: string, query: URLSearchParams): Promise<Failure | null> {
  const { operation, ids } = exchange;
  if (isMessageBatch(operation) && ids !== null) {
    const requested = await sendMessageBatch(exchange, ids, path, query);
    if (requested !== undefined) return requested;
  }
  const makes = operation.method === "POST" && idIn(operation.path) === null && operation.resource !== "Files";
  if (ids !== null && makes) return make(exchange, ids, path);
  if (ids !== null && isList(operation)) return listOwn(exchange, ids, path, query);
  const body = operation.method === "POST" ? uploaded(exchange) : null;
  if (body !== null && isFailure(body)) return body;
  const answer = await askKeeper(
    exchange,
    withQuery(path, query),
    body,
    ids !== null && !operation.path.endsWith("/content"),
  );
  return reply(exchange, answer, (json) => withOwnEnds(ids?.answer(json)));
}

const notForm = failure(
  "unsupported_media_type",
  "Send the file as multipart/form-data, with one boundary in Content-Type.",
);

/** The body of a request that isn't read whole. */
function uploaded({ client, operation, ids, environment }: PreparedExchange): Readable | Failure {
  const { later, minUploadBytesPerSecond, hold } = environment;
  const isFile = operation.resource === "Files";
  const boundary = isFile ? boundaryOf(client.header("content-type") ?? "") : null;
  if (isFile && boundary === null) return notForm;
  const modelOf = (body: unknown, text: string) => later.lineModel(body, text);
  return client.bodyStream(
    uploadStream(ids === null ? null : { ids, boundary, modelOf }, minUploadBytesPerSecond, hold),
  );
}

/** Sets a list's `first_id` and `last_id` to the ids that the caller gets. */
function withOwnEnds(answer: unknown): unknown {
  if (!isObject(answer) || !Array.isArray(answer["data"]) || !("first_id" in answer)) return answer;
  const ends = [answer["data"][0], answer["data"].at(-1)].map((object) => (isObject(object) ? object["id"] : null));
  return { ...answer, first_id: ends[0] ?? null, last_id: ends[1] ?? null };
}

/** A batch or a job, which is small enough to be read before it is sent. */
async function make(exchange: PreparedExchange, ids: ResourceIds, path: string): Promise<Failure | null> {
  const read = await readObject(exchange, maxRequestBytes);
  if (isFailure(read)) return read;
  const denied = exchange.environment.later.denied(read.json);
  if (denied !== null) return denied;
  const request = ids.request(read.json);
  if (isFailure(request)) return request;
  return reply(exchange, await askKeeper(exchange, path, Buffer.from(JSON.stringify(request)), true), (answer) =>
    ids.answer(answer),
  );
}
