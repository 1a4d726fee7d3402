/**
 * Lines of an upload that a provider could take for requests of a batch
 * (https://platform.openai.com/docs/api-reference/batch/request-input). An upload needn't say first what it is for, so
 * that every line is looked at. Pure.
 */
import { type Failure, failure } from "../failure.ts";
import type { JsonObject } from "../wire/json.ts";
import { editStrings } from "../wire/json-strings.ts";

/** The provider's name of the model in a request, if the sender may ask for it. `text`: the line, which is valid JSON. */
export type LineModel = (body: unknown, text: string) => string | Failure;

const escaped = /\\u([0-9a-f]{4})/gi;
/** Some servers read names whatever their case, as Go does, for which ſ is an s. */
const bodyName = /"body"/iu;
const idName = /"custom_id"/iu;

/** Escapes may hide names. */
export const mayBeRequest = (line: string): boolean => line.includes("\\u") || bodyName.test(line);

/** For lines that aren't JSON, which lenient parsers may read all the same. */
export function isNamedAsRequest(line: string): boolean {
  const plain = line.replace(escaped, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  return bodyName.test(plain) && idName.test(plain);
}

const misspelt = failure(
  "invalid_json",
  "A member differs from `body` or `custom_id` only in case. Write these names in lower case.",
);

/** Whether it is a request of a batch; the failure if only some servers take it for one, or for another one. */
export function isBatchRequest(line: JsonObject): boolean | Failure {
  const names = Object.keys(line);
  const alike = [bodyName, idName].map((pattern) => names.filter((name) => pattern.test(`"${name}"`)));
  if (alike.some((found) => found.length === 0)) return false;
  return alike.flat().every((name) => name === "body" || name === "custom_id") ? true : misspelt;
}

/** The line with another name of the model; null if it has that name. */
export function withModelNamed(line: string, model: string): string | null {
  const edited = editStrings(line, (path, value) =>
    path.length === 2 && path[0] === "body" && path[1] === "model" && value !== model ? model : null,
  );
  return edited === line ? null : edited;
}
