/** Anthropic's batches of messages: made from checked requests, and charged as their results are read. */
import { Buffer } from "node:buffer";
import { type Failure, isFailure } from "../failure.ts";
import type { ResourceIds } from "../ids/resource-ids.ts";
import { isObject } from "../wire/json.ts";
import { BatchMeter, batchRequest } from "./message-batches.ts";
import {
  askKeeper,
  type PreparedExchange,
  readObject,
  reply,
  resourceNotServed,
  withQuery,
} from "./resource-asking.ts";
import { idIn, isResults } from "./resource-paths.ts";

/** The provider's id of the batch whose results are at this path. */
const batchIn = (path: string): string => /([^/]+)\/results$/.exec(path)?.[1] ?? path;

/** Handles requests for which Anthropic's batches need special treatment; returns undefined for all others. */
export async function sendMessageBatch(
  exchange: PreparedExchange,
  ids: ResourceIds,
  path: string,
  query: URLSearchParams,
): Promise<Failure | null | undefined> {
  const { operation, environment } = exchange;
  const { messageBatches } = environment;
  if (messageBatches === undefined) return resourceNotServed;
  if (isResults(operation)) {
    const meter = new BatchMeter();
    const done = await askKeeper(
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
  const read = await readObject(exchange, messageBatches.maxBodyBytes);
  if (isFailure(read)) return read;
  const request = batchRequest(read.json, (params) => environment.later.model(params));
  if (isFailure(request)) return request;
  const opened = ids.opened(request);
  if (isFailure(opened)) return opened;
  const answer = await askKeeper(exchange, path, Buffer.from(JSON.stringify(opened)), true);
  if (answer !== null && !isFailure(answer) && isObject(answer.json)) messageBatches.note(String(answer.json["id"]));
  return reply(exchange, answer, (made) => ids.answer(made));
}
