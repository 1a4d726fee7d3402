/** Files, batches and fine-tuning: streamed to and from the one provider that keeps them, without inspection. */

import { Buffer } from "node:buffer";
import type { Readable } from "node:stream";
import type { Circumstances } from "../access/rules.ts";
import type { Identity } from "../call/identity.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import type { LineEditor } from "../ids/lines.ts";
import type { ResourceIds } from "../ids/resource-ids.ts";
import { authorizedCall } from "../providers/authorized-call.ts";
import type { AuthEnvironment, Outgoing } from "../providers/provider.ts";
import type { PathEntry, ProviderEntry, Role } from "../snapshot/snapshot.ts";
import { tokenCauseOf } from "../wire/causes.ts";
import type { ClientConnection } from "../wire/client.ts";
import { isObject, jsonIn } from "../wire/json.ts";
import { denyByOrigin } from "./circumstances.ts";
import { BatchMeter, batchRequest, withOwnResults } from "./message-batches.ts";
import type { Unambiguous } from "./proof.ts";
import { noToken, toFailure } from "./provider-error.ts";
import { type ResourceEnvironment, ResourceExchange, type WholeAnswer } from "./resource-exchange.ts";
import { idIn, isList, isMessageBatch, isResults, type ResourceOperation, resourceQuery } from "./resource-paths.ts";
import type { ResourceTarget } from "./resource-target.ts";
import { denyByPolicyScope, missingPermission, offeredTo, resident } from "./route.ts";
import { asksForStream, keptResponse, notKept, notStreamed } from "./stored-responses.ts";
import { failureOfUpload, maxUploadBytes, tooLarge, uploadStream } from "./upload.ts";

/** Largest request for a batch or a job, in bytes. */
const maxRequestBytes = 1_048_576;

const notServed = failure(
  "unknown_url",
  "No policy of yours passes this through. Ask the platform team for one with spec.resources.",
);

/**
 * Which policy serves the request, and whether this caller may make it. `accountOf`: the provider that keeps a sealed
 * id's object.
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
    (one) =>
      one.resources !== null &&
      one.config.resources?.kinds.includes(resource) &&
      (one.config.resources.api === "Messages") === isOfAnthropic(operation) &&
      offeredTo(one, identity),
  );
  const id = idIn(operation.path);
  const account = id === null ? null : accountOf(id);
  const route = offered.find(({ resources }) => resources?.account.config.id === account) ?? offered[0];
  if (route?.resources == null || !resident(route, route.resources)) return notServed;
  return (
    missingPermission(identity, "fine_tune_models", roles) ??
    denyByPolicyScope(route, identity) ??
    denyByOrigin(route, call) ?? { route, entry: route.resources }
  );
}

const isOfAnthropic = (operation: ResourceOperation): boolean =>
  isMessageBatch(operation) || (operation.isAnthropic === true && operation.resource === "Files");

export type { ResourceEnvironment };

type Ids = ResourceIds | null;

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

const withQuery = (path: string, query: URLSearchParams): string => (query.size === 0 ? path : `${path}?${query}`);

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

interface PreparedExchange {
  client: Unambiguous;
  operation: ResourceOperation;
  target: ResourceTarget;
  environment: ResourceEnvironment;
  ids: Ids;
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
  if ("code" in query) return query;
  const path = entry.provider.resourcePath?.(opened, entry.account) ?? null;
  const isResponse = operation.resource === "Responses";
  if (path === null) return isResponse ? notKept : notServed;
  if (isResponse && asksForStream(client.url)) return notStreamed;
  if (Number(client.header("content-length") ?? 0) > maxUploadBytes) return tooLarge;
  return send({ client, operation, target, environment, ids }, path, query);
}

async function send(exchange: PreparedExchange, path: string, query: URLSearchParams): Promise<Failure | null> {
  const { client, operation, ids, environment } = exchange;
  if (isMessageBatch(operation) && ids !== null) {
    const asked = await sendMessageBatch(exchange, ids, path, query);
    if (asked !== undefined) return asked;
  }
  const makes = operation.method === "POST" && idIn(operation.path) === null && operation.resource !== "Files";
  if (ids !== null && makes) return make(exchange, ids, path);
  if (ids !== null && isList(operation)) return list(exchange, ids, path, query);
  const body =
    operation.method === "POST" ? client.bodyStream(uploadStream(ids, environment.minUploadBytesPerSecond)) : null;
  const answer = await ask(
    exchange,
    withQuery(path, query),
    body,
    ids !== null && !operation.path.endsWith("/content"),
  );
  return reply(exchange, answer, (json) => withOwnEnds(ids?.answer(json)));
}

/** Lists of an object's parts name their first and last, by the ids as the caller gets them. */
function withOwnEnds(answer: unknown): unknown {
  if (!isObject(answer) || !Array.isArray(answer["data"]) || !("first_id" in answer)) return answer;
  const ends = [answer["data"][0], answer["data"].at(-1)].map((object) => (isObject(object) ? object["id"] : null));
  return { ...answer, first_id: ends[0] ?? null, last_id: ends[1] ?? null };
}

/** `batches`: the caller's objects in the answer, if it isn't one object. */
async function reply(
  { client, operation, environment }: PreparedExchange,
  answer: Failure | WholeAnswer | null,
  edit: (json: unknown) => unknown,
  batches?: readonly unknown[],
): Promise<Failure | null> {
  if (answer === null || "code" in answer) return answer;
  if (operation.resource === "Batches") await environment.readBatches?.(batches ?? [answer.json]);
  void client.reply(200, answer.headers, JSON.stringify(withOwnResults(edit(answer.json))));
  return null;
}

/** The provider's id of the batch whose results are at this path. */
const batchIn = (path: string): string => /([^/]+)\/results$/.exec(path)?.[1] ?? path;

/** What differs for Anthropic's batches; undefined if nothing does. */
async function sendMessageBatch(
  exchange: PreparedExchange,
  ids: ResourceIds,
  path: string,
  query: URLSearchParams,
): Promise<Failure | null | undefined> {
  const { client, operation, environment, target } = exchange;
  const { messageBatches } = environment;
  if (messageBatches === undefined) return notServed;
  if (isResults(operation)) {
    const meter = new BatchMeter();
    const done = await ask(
      exchange,
      withQuery(path, query),
      null,
      false,
      ids.resultLines((line) => meter.line(line)),
    );
    if (done === null) await messageBatches.charge(batchIn(path), meter.usages);
    return done as Failure | null;
  }
  if (operation.method !== "POST" || idIn(operation.path) !== null) return undefined;
  const { minUploadBytesPerSecond: minBytesPerSecond } = environment;
  const read = await client.readBody(messageBatches.maxBodyBytes, "", { minBytesPerSecond });
  if ("code" in read) return read;
  const json = jsonIn(read.toString("utf8"));
  if (!isObject(json)) return failure("invalid_json", "The request body must be a JSON object.");
  const request = batchRequest(json, target.entry, messageBatches.denyModel);
  if (isFailure(request)) return request;
  const opened = ids.opened(request);
  if (isFailure(opened)) return opened;
  const answer = await ask(exchange, path, Buffer.from(JSON.stringify(opened)), true);
  if (answer !== null && !("code" in answer) && isObject(answer.json)) messageBatches.note(String(answer.json["id"]));
  return reply(exchange, answer, (made) => ids.answer(made));
}

/** A batch or a job, which is small enough to be read before it is sent. */
async function make(exchange: PreparedExchange, ids: ResourceIds, path: string): Promise<Failure | null> {
  const { client, environment } = exchange;
  const { minUploadBytesPerSecond: minBytesPerSecond } = environment;
  const read = await client.readBody(maxRequestBytes, "", { minBytesPerSecond });
  if ("code" in read) return read;
  const json = jsonIn(read.toString("utf8"));
  if (!isObject(json)) return failure("invalid_json", "The request body must be a JSON object.");
  const request = ids.request(json);
  if (isFailure(request)) return request;
  return reply(exchange, await ask(exchange, path, Buffer.from(JSON.stringify(request)), true), (answer) =>
    ids.answer(answer),
  );
}

/** Most pages of the provider's list that are searched for the caller's objects. */
const maxPages = 20;
const usualLimit = 100;

/** Batches of messages bear no mark, so that the gateway remembers whose they are. */
async function ownOf(
  { operation, environment }: PreparedExchange,
  ids: ResourceIds,
  data: unknown[],
): Promise<unknown[]> {
  const { messageBatches } = environment;
  if (!isMessageBatch(operation) || messageBatches === undefined) return data.filter((object) => ids.isOwn(object));
  const known = await Promise.all(
    data.map((object) => messageBatches.isOwn(isObject(object) ? String(object["id"]) : "")),
  );
  return data.filter((_, index) => known[index] === true);
}

/** Where the next page of the provider's list begins: the query's parameter and its value; null for the last page. */
function nextPage(operation: ResourceOperation, json: unknown): readonly [string, string] | null {
  if (!isObject(json)) return null;
  // https://platform.claude.com/docs/en/api/files-list
  if (typeof json["next_page"] === "string") return ["page", json["next_page"]];
  const last: unknown = dataOf(json).at(-1);
  if (json["has_more"] !== true || !isObject(last) || typeof last["id"] !== "string") return null;
  return [isOfAnthropic(operation) ? "after_id" : "after", last["id"]];
}

const dataOf = (json: unknown): unknown[] => (isObject(json) && Array.isArray(json["data"]) ? json["data"] : []);

const goesBack = (query: URLSearchParams): boolean => query.has("before") || query.has("before_id");

/** A page of the caller's own objects. `next`: where the provider's list goes on. */
function ownPage(
  own: readonly unknown[],
  wanted: number,
  next: readonly [string, string] | null,
  ids: ResourceIds,
): object {
  const byPage = next?.[0] === "page";
  // Objects that this page leaves out would not be on the next one.
  const shown = (byPage ? own : own.slice(0, wanted)).map((object) => ids.answer(object));
  const idOf = (object: unknown): unknown => (isObject(object) ? (object["id"] ?? null) : null);
  const hasMore = byPage || own.length > wanted || (next !== null && shown.length > 0);
  return {
    ...{ object: "list", data: shown, first_id: idOf(shown[0]), last_id: idOf(shown.at(-1)), has_more: hasMore },
    ...(byPage ? { next_page: next[1] } : {}),
  };
}

/** Lists the caller's own objects among the account's. */
async function list(
  exchange: PreparedExchange,
  ids: ResourceIds,
  path: string,
  query: URLSearchParams,
): Promise<Failure | null> {
  const wanted = Math.max(1, Number(query.get("limit") ?? usualLimit) || usualLimit);
  const own: unknown[] = [];
  for (let page = 1; ; page++) {
    const answer = await ask(exchange, withQuery(path, query), null, true);
    if (answer === null || "code" in answer) return answer;
    own.push(...(await ownOf(exchange, ids, dataOf(answer.json))));
    const next = nextPage(exchange.operation, answer.json);
    if (next === null || own.length >= wanted || page >= maxPages || goesBack(query))
      return reply(exchange, answer, () => ownPage(own, wanted, next, ids), own);
    query.set(...(next as [string, string]));
  }
}

/** `whole`: returns the answer instead of sending it. Otherwise returns a Failure, or null if the answer was sent. */
async function ask(
  { client, operation, target, environment, ids }: PreparedExchange,
  path: string,
  body: Readable | Buffer | null,
  whole: boolean,
  results?: LineEditor,
): Promise<Failure | WholeAnswer | null> {
  const { entry, route } = target;
  const bare = outgoingOf(client, operation, path, environment);
  const outgoing = await authorized(bare, entry, environment.auth);
  if ("code" in outgoing) return outgoing;
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
