/** Lists of the caller's own objects, gathered from the lists of the whole account. */
import { type Failure, isFailure } from "../failure.ts";
import type { ResourceIds } from "../ids/resource-ids.ts";
import { isObject } from "../wire/json.ts";
import { askKeeper, type PreparedExchange, reply, withQuery } from "./resource-asking.ts";
import { isMessageBatch, isOfAnthropic, type ResourceOperation } from "./resource-paths.ts";

/** Most pages of the provider's list that are searched for the caller's objects. */
const maxPages = 20;
const usualLimit = 100;

/** Batches of messages carry no mark, so the gateway remembers their owners. */
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
  const lastObject: unknown = dataOf(json).at(-1);
  if (json["has_more"] !== true || !isObject(lastObject) || typeof lastObject["id"] !== "string") return null;
  return [isOfAnthropic(operation) ? "after_id" : "after", lastObject["id"]];
}

const dataOf = (json: unknown): unknown[] => (isObject(json) && Array.isArray(json["data"]) ? json["data"] : []);

const goesBack = (query: URLSearchParams): boolean => query.has("before") || query.has("before_id");

/** A page of the caller's own objects. `next`: where the provider's list continues. */
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
export async function listOwn(
  exchange: PreparedExchange,
  ids: ResourceIds,
  path: string,
  query: URLSearchParams,
): Promise<Failure | null> {
  const wanted = Math.max(1, Number(query.get("limit") ?? usualLimit) || usualLimit);
  const own: unknown[] = [];
  for (let page = 1; ; page++) {
    const answer = await askKeeper(exchange, withQuery(path, query), null, true);
    if (answer === null || isFailure(answer)) return answer;
    own.push(...(await ownOf(exchange, ids, dataOf(answer.json))));
    const next = nextPage(exchange.operation, answer.json);
    if (next === null || own.length >= wanted || page >= maxPages || goesBack(query))
      return reply(exchange, answer, () => ownPage(own, wanted, next, ids), own);
    query.set(...(next as [string, string]));
  }
}
