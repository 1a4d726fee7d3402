/** Models of Model Garden: https://cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/publishers.models/list */
import { isObject } from "../../wire/json.ts";
import { namesIn, withParameter } from "../model-list.ts";
import type { ModelList, ProviderAccount } from "../provider.ts";

const listOf = ({ basePath }: ProviderAccount, publisher: string): string =>
  `${basePath.replace(/\/v1$/, "")}/v1beta1/publishers/${publisher}/models?pageSize=200`;

const unlisted: Readonly<Record<string, string>> = {
  OpenAI: "Vertex AI lists no models for its OpenAI-compatible API; name them in spec.models",
  Ranking: "Vertex AI lists no rankers; name them in spec.models",
};

export const vertexModels: ModelList = {
  elsewhere: (account) => unlisted[account.config.options["api"] ?? ""] ?? account,
  path: (account) => listOf(account, account.config.options["api"] === "Claude" ? "anthropic" : "google"),
  more: (account) => (account.config.options["api"] === undefined ? [listOf(account, "anthropic")] : []),
  // The list belongs to no project, so the request names the project that is charged.
  headers: ({ config }) => ({ "x-goog-user-project": config.options["project"] ?? "" }),
  names: (body) =>
    isObject(body) && Object.keys(body).length === 0
      ? []
      : (namesIn(body, "publisherModels", "name")?.map((name) => name.replace(/^publishers\/[^/]+\/models\//, "")) ??
        null),
  next: (path, body) => (isObject(body) ? withParameter(path, "pageToken", body["nextPageToken"]) : null),
};
