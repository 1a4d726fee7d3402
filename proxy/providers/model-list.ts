/** Reads the lists of models of providers. */
import { isObject } from "../wire/json.ts";
import type { ModelList } from "./provider.ts";

/** The texts under `field` of the objects in the list `member`. */
export function namesIn(body: unknown, member: string, field: string): string[] | null {
  const list = isObject(body) ? body[member] : null;
  if (!Array.isArray(list)) return null;
  return list.flatMap((entry: unknown) => {
    const name = isObject(entry) ? entry[field] : null;
    return typeof name === "string" ? [name] : [];
  });
}

/** https://platform.openai.com/docs/api-reference/models/list */
export const openAiModelList: ModelList = {
  path: ({ basePath }) => `${basePath}/models`,
  names: (body) => namesIn(body, "data", "id"),
};
