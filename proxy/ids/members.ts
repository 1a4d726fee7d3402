/**
 * Where the APIs put ids of what a provider keeps: https://platform.openai.com/docs/api-reference (responses, files,
 * batches, fine-tuning, chat audio) and https://platform.claude.com/docs/en/api/messages (container, file_id).
 */
import type { JsonPath } from "../wire/json-strings.ts";

/** Members whose text is an id wherever they stand. */
const names: ReadonlySet<string> = new Set([
  ...["file_id", "container_id", "item_id", "response_id", "previous_response_id", "approval_request_id"],
  ...["conversation", "conversation_id", "container", "vector_store_id", "batch_id", "fine_tuning_job_id"],
  ...["input_file_id", "output_file_id", "error_file_id", "training_file", "validation_file"],
]);

/** Members whose lists are of ids. */
const lists: ReadonlySet<string> = new Set(["file_ids", "vector_store_ids", "result_files"]);

/** Members of which an element's, or their own, `id` is one. */
const holders: ReadonlySet<string> = new Set([
  ...["response", "item", "output", "input", "data", "conversation", "container", "audio", "prompt"],
]);

/** What below these stands for is the caller's, a model's or a schema's own. */
const opaque: ReadonlySet<string> = new Set([
  ...["metadata", "parameters", "input_schema", "schema", "headers", "attributes", "filters", "arguments", "error"],
  ...["hyperparameters", "logprobs", "user_location", "properties"],
]);

const isElement = (name: string | undefined): boolean => name === "[]";

/** The name above the last, past a list's element. */
function holderOf(path: JsonPath): string | undefined {
  const above = path[path.length - 2];
  return isElement(above) ? path[path.length - 3] : above;
}

/** Whether the text at `path` is an id. `root`: an `id` of the document itself is one, as that of a Response. */
export function isIdAt(path: JsonPath, root: boolean): boolean {
  const last = path[path.length - 1];
  if (last === undefined || isOpaque(path)) return false;
  if (last === "id") return path.length === 1 ? root : holders.has(holderOf(path) ?? "");
  if (isElement(last)) return lists.has(path[path.length - 2] ?? "");
  return names.has(last);
}

function isOpaque(path: JsonPath): boolean {
  for (let depth = 0; depth < path.length - 1; depth++) {
    const name = path[depth] as string;
    if (opaque.has(name)) return true;
    // What a model gives a tool, in the Messages API: an object, where the input of a response is a list.
    if (name === "input" && depth > 0 && !isElement(path[depth + 1])) return true;
  }
  return false;
}
