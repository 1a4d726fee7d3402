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

/** `path` with another value of a query parameter; null if there is no value. */
export function withParameter(path: string, name: string, value: unknown): string | null {
  if (typeof value !== "string" || value === "") return null;
  const [before = "", query = ""] = path.split("?", 2);
  const parameters = new URLSearchParams(query);
  parameters.set(name, value);
  return `${before}?${parameters}`;
}

/** Path and query of a link; null if it is none. Its host is not asked: the credential is for the account's own. */
export function pathIn(link: unknown): string | null {
  const url = typeof link === "string" ? URL.parse(link) : null;
  return url === null ? null : `${url.pathname}${url.search}`;
}

/** https://platform.openai.com/docs/api-reference/models/list */
export const openAiModelList: ModelList = {
  path: ({ basePath }) => `${basePath}/models`,
  names: (body) => namesIn(body, "data", "id"),
};
