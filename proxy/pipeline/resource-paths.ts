/**
 * Paths of objects that a provider keeps (https://platform.openai.com/docs/api-reference): files, batches, fine-tuning
 * jobs and stored responses. Pure.
 */
import type { ResourceKind } from "../config/route.ts";

export interface ResourceOperation {
  kind: "resource";
  /** Responses belong to the provider that made them, whatever `spec.resources` says. */
  resource: ResourceKind | "Responses";
  method: "GET" | "POST" | "DELETE";
  /** Path below the base URL, with its ids checked. */
  path: string;
  /** Set for Anthropic's API, whose files have the paths of OpenAI's. */
  isAnthropic?: boolean;
}

export const isMessageBatch = ({ path }: Pick<ResourceOperation, "path">): boolean =>
  path.startsWith("/messages/batches");
export const isResults = ({ path }: Pick<ResourceOperation, "path">): boolean => path.endsWith("/results");

/** The id in a path; null if it has none. */
export const idIn = (path: string): string | null =>
  /^\/(?:files|batches|messages\/batches|fine_tuning\/jobs|responses)\/([^/]+)/.exec(path)?.[1] ?? null;

/** Whether the path lists the account's objects, rather than one object's parts. */
export const isList = ({ method, path }: ResourceOperation): boolean => method === "GET" && idIn(path) === null;

/** No dot, slash or percent sign, so an id can't lead to another path. */
const id = "[A-Za-z0-9_:-]{1,344}";
/** Other words there are operations. */
const response = "resp_[A-Za-z0-9_:-]{1,339}";

const paths: readonly [ResourceOperation["resource"], RegExp, readonly string[]][] = [
  ["Files", /^\/files$/, ["GET", "POST"]],
  ["Files", new RegExp(`^/files/${id}$`), ["GET", "DELETE"]],
  ["Files", new RegExp(`^/files/${id}/content$`), ["GET"]],
  ["Batches", /^\/messages\/batches$/, ["GET", "POST"]],
  ["Batches", new RegExp(`^/messages/batches/${id}$`), ["GET", "DELETE"]],
  ["Batches", new RegExp(`^/messages/batches/${id}/cancel$`), ["POST"]],
  ["Batches", new RegExp(`^/messages/batches/${id}/results$`), ["GET"]],
  ["Batches", /^\/batches$/, ["GET", "POST"]],
  ["Batches", new RegExp(`^/batches/${id}$`), ["GET"]],
  ["Batches", new RegExp(`^/batches/${id}/cancel$`), ["POST"]],
  ["Responses", new RegExp(`^/responses/${response}$`), ["GET", "DELETE"]],
  ["Responses", new RegExp(`^/responses/${response}/cancel$`), ["POST"]],
  ["Responses", new RegExp(`^/responses/${response}/input_items$`), ["GET"]],
  ["FineTuning", /^\/fine_tuning\/jobs$/, ["GET", "POST"]],
  ["FineTuning", new RegExp(`^/fine_tuning/jobs/${id}$`), ["GET"]],
  ["FineTuning", new RegExp(`^/fine_tuning/jobs/${id}/(cancel|pause|resume)$`), ["POST"]],
  ["FineTuning", new RegExp(`^/fine_tuning/jobs/${id}/(events|checkpoints)$`), ["GET"]],
];

/** Null if there is no such path; "method" if it doesn't allow this method. */
export function resourceOperation(method: string, rest: string): ResourceOperation | "method" | null {
  const matching = paths.filter(([, pattern]) => pattern.test(rest));
  if (matching.length === 0) return null;
  const [first] = matching;
  if (first === undefined || !first[2].includes(method)) return "method";
  return { kind: "resource", resource: first[0], method: method as ResourceOperation["method"], path: rest };
}

/** Null if there is no such path. */
export const resourceMethods = (rest: string): readonly string[] | null =>
  paths.find(([, pattern]) => pattern.test(rest))?.[2] ?? null;

const parameters: ReadonlySet<string> = new Set([
  "after",
  "after_id",
  "page",
  "before_id",
  "before",
  "limit",
  "order",
  "purpose",
  "metadata",
  "include",
  "include[]",
]);

const cursors: ReadonlySet<string> = new Set(["after", "before", "after_id", "before_id"]);

/** Keeps only the query parameters that lists support. `cursor` replaces `after` and `before`. */
export function resourceQuery(url: string, cursor: (text: string) => string = (text) => text): URLSearchParams {
  const index = url.indexOf("?");
  if (index < 0) return new URLSearchParams();
  const kept = [...new URLSearchParams(url.slice(index + 1))].filter(
    ([name, value]) => parameters.has(name) && value.length <= 344,
  );
  return new URLSearchParams(
    kept.map(([name, value]): [string, string] => [name, cursors.has(name) ? cursor(value) : value]),
  );
}

/** Whether only Anthropic's form of the API has it. */
export const isOfAnthropic = (operation: ResourceOperation): boolean =>
  isMessageBatch(operation) || (operation.isAnthropic === true && operation.resource === "Files");
