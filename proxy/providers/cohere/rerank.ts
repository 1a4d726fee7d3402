/**
 * Requests for reranking in the shape of other APIs → version 2 of Cohere's
 * (https://docs.cohere.com/reference/rerank), whose documents are texts.
 */
import { isObject } from "../../wire/json.ts";

type Body = Readonly<Record<string, unknown>>;

/** Of Jina's API and of Cohere's version 1. */
const foreign = ["return_documents", "truncation", "rank_fields", "max_chunks_per_doc"] as const;

const isText = (document: unknown): document is { text: string } =>
  isObject(document) && typeof document["text"] === "string";

export const rerankDrops = (body: Body): string[] => foreign.filter((name) => (body[name] ?? null) !== null);

export function rerankEdits(body: Body): Body {
  const edits: Record<string, unknown> = {};
  for (const name of foreign) if (name in body) edits[name] = undefined;
  const { documents } = body;
  if (Array.isArray(documents) && documents.some(isText))
    edits["documents"] = documents.map((document: unknown) => (isText(document) ? document.text : document));
  return edits;
}
