/** What a text cites (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html). */
import { chatAnnotation, claudeCitations, noText, type PlacedCitation, webAddress } from "../../dialects/citations.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";

const text = (value: unknown): string => (typeof value === "string" ? value : "");

interface Place {
  /** As named by the provider. */
  title: string;
  source: string;
  cited_text: string;
}

type Form = (location: JsonObject, place: Place) => JsonObject;

const inDocument =
  (type: string, start: string, end: string): Form =>
  (location, { title, cited_text }) => ({
    type,
    cited_text,
    document_index: location["documentIndex"] ?? 0,
    document_title: title,
    [start]: location["start"] ?? 0,
    [end]: location["end"] ?? 0,
  });

/** Location → Anthropic's form (https://platform.claude.com/docs/en/build-with-claude/citations). */
const forms: Readonly<Record<string, Form>> = {
  documentChar: inDocument("char_location", "start_char_index", "end_char_index"),
  documentPage: inDocument("page_location", "start_page_number", "end_page_number"),
  documentChunk: inDocument("content_block_location", "start_block_index", "end_block_index"),
  searchResultLocation: (location, { title, source, cited_text }) => ({
    type: "search_result_location",
    source,
    title,
    cited_text,
    search_result_index: location["searchResultIndex"] ?? 0,
    start_block_index: location["start"] ?? 0,
    end_block_index: location["end"] ?? 0,
  }),
  web: ({ url }, { title, cited_text }) => ({
    type: "web_search_result_location",
    url: text(url),
    title,
    cited_text,
    encrypted_index: noText,
  }),
};

/** Some models wrap a location once more. */
function locationOf({ location }: JsonObject): [Form, JsonObject] | null {
  if (!isObject(location)) return null;
  for (const [name, form] of Object.entries(forms)) {
    const own = location[name];
    if (isObject(own)) return [form, own];
  }
  return null;
}

function placed(citation: JsonObject, start: number, end: number): PlacedCitation[] {
  const known = locationOf(citation);
  if (known === null) return [];
  const [form, location] = known;
  const cited_text = objectsIn(citation["sourceContent"])
    .map((part) => text(part["text"]))
    .join("");
  const place = { title: text(citation["title"]), source: text(citation["source"]), cited_text };
  return [{ start, end, citation: form(location, place) }];
}

/** In both forms. The text stands from `start` to `end` in the message's. */
export function citedIn(citations: unknown, start: number, end: number) {
  const list = objectsIn(citations).flatMap((citation) => placed(citation, start, end));
  const annotations = list.flatMap(({ citation }) => {
    const url = webAddress(citation["url"] ?? citation["source"]);
    return url === null ? [] : [chatAnnotation({ url, title: text(citation["title"]), start, end })];
  });
  return {
    ...(annotations.length > 0 ? { annotations } : {}),
    ...(list.length > 0 ? { [claudeCitations]: list } : {}),
  };
}

/** Of all of an answer's blocks. */
export function citationsOf(blocks: readonly JsonObject[]): ReturnType<typeof citedIn> {
  let length = 0;
  const cited = blocks.map((block) => {
    const start = length;
    length += text(block["text"]).length;
    return citedIn(block["citations"], start, length);
  });
  const annotations = cited.flatMap((block) => block.annotations ?? []);
  const list = cited.flatMap((block) => block[claudeCitations] ?? []);
  return {
    ...(annotations.length > 0 ? { annotations } : {}),
    ...(list.length > 0 ? { [claudeCitations]: list } : {}),
  };
}
