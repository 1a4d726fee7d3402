/**
 * Reranking in Cohere's and Jina's shape → Google's ranking API
 * (https://cloud.google.com/generative-ai-app-builder/docs/ranking), which has a separate host.
 */
import { type ProviderError, type Refusal, refusal } from "../../dialects/canonical.ts";
import * as is from "../../dialects/check.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { givenBesides, isObject, isSet, type JsonObject, objectsIn } from "../../wire/json.ts";
import type { ProviderAccount, ProviderModel, RerankCall } from "../provider.ts";
import { locationPath } from "./address.ts";

const mostDocuments = 200;
/** A query that is charged has at most this many documents: https://cloud.google.com/generative-ai-app-builder/pricing */
const documentsPerUnit = 100;

const read: ReadonlySet<string> = new Set(["model", "query", "documents", "top_n", "return_documents"]);

const aDocument: is.Check = (value, param) =>
  typeof value === "string" || (isObject(value) && typeof value["text"] === "string")
    ? null
    : is.invalid(param, "a string, or an object with `text`");

function problemIn(body: JsonObject): Refusal | null {
  const problem =
    is.required(body, "query", is.aString) ??
    is.members(body, { top_n: is.aWholeNumber, return_documents: is.aBoolean });
  if (problem) return problem;
  const { documents } = body;
  if (!Array.isArray(documents) || documents.length === 0)
    return is.invalid("documents", "a list with at least one document");
  if (documents.length > mostDocuments)
    return refusal(
      "documents",
      `Google ranks at most ${mostDocuments} documents in a call. Send them in several calls.`,
      "invalid_value",
    );
  return is.first(documents as unknown[], (document, index) => aDocument(document, `documents[${index}]`));
}

function recordOf(document: unknown, index: number): JsonObject {
  const id = String(index);
  if (!isObject(document)) return { id, content: document };
  const { title, text } = document;
  return { id, ...(typeof title === "string" ? { title } : {}), content: text };
}

/** Members of documents that Google has no place for. */
const lostOf = (documents: readonly unknown[]): string[] => {
  const names = objectsIn(documents).flatMap((document) =>
    Object.keys(document).filter((name) => name !== "text" && name !== "title" && isSet(document[name])),
  );
  return [...new Set(names)].map((name) => `documents.${name}`);
};

/** `shown`: the documents, if the caller wants them back. */
function answerOf(body: unknown, documents: readonly unknown[], shown: boolean): JsonObject | ProviderError {
  const records = objectsIn(isObject(body) ? body["records"] : undefined);
  const results = records.map(({ id, score }) => ({ index: Number(id), relevance_score: score }));
  const isWhole = results.every(
    ({ index, relevance_score: score }) => documents[index] !== undefined && typeof score === "number",
  );
  if (records.length === 0 || !isWhole) return invalidReply();
  const asObject = (document: unknown): unknown => (isObject(document) ? document : { text: document });
  const units = Math.ceil(documents.length / documentsPerUnit);
  return {
    results: shown ? results.map((result) => ({ ...result, document: asObject(documents[result.index]) })) : results,
    meta: { billed_units: { search_units: units } },
  };
}

export function vertexRerank(body: JsonObject, account: ProviderAccount, model: ProviderModel): RerankCall | Refusal {
  const problem = problemIn(body);
  if (problem) return problem;
  const documents = body["documents"] as unknown[];
  return {
    path: `${locationPath(account)}/rankingConfigs/default_ranking_config:rank`,
    body: JSON.stringify({
      model: model.config.upstream,
      query: body["query"],
      records: documents.map(recordOf),
      ...(isSet(body["top_n"]) ? { topN: body["top_n"] } : {}),
      ignoreRecordDetailsInResponse: true,
    }),
    dropped: [...givenBesides(body, read), ...lostOf(documents)],
    decodeReply: (answer) => answerOf(answer, documents, body["return_documents"] === true),
  };
}
