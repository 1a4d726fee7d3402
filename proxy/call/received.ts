/** The body of a request, parsed once. */
import type { Buffer } from "node:buffer";
import { type BodyLimits, defaultBodyLimits } from "../config/body-limits.ts";
import { type Failure, failure } from "../failure.ts";
import { isObject, type JsonObject, parseJson } from "../wire/json.ts";
import { applyEdits, type Outline, type OutlineProblem, outline } from "../wire/json-edit.ts";
import { skimmed } from "../wire/json-skim.ts";

/** For bodies that are made of one that was parsed within its limits. */
export const parsedBefore: BodyLimits = { entries: Infinity, tools: Infinity, jsonDepth: 1_024 };

export interface Received {
  bytes: Buffer;
  json: JsonObject;
  outline: Outline;
  /** The model asked for; null if the body names none. */
  model: string | null;
  stream: boolean;
}

const orRaise = (name: string): string =>
  `or ask the platform team to raise proxy.requestLimits.${name} in the gateway's Helm values`;

const problems: Record<OutlineProblem, string> = {
  depth: `The request body nests too deeply. Nest less, ${orRaise("jsonDepth")}.`,
  duplicate: "The request body has the same member twice. Send each member once.",
  proto: "The request body has a member named __proto__, which is not accepted.",
  not_object: "The request body must be a JSON object.",
};

/** Takes a fast path for bodies without anything unusual. Throws if the body isn't JSON. */
function read(bytes: Buffer, text: string, maxJsonDepth: number): { json: unknown; outline: Outline } | OutlineProblem {
  // Bodies with names that JSON.parse may misread are parsed again below.
  const json: unknown = JSON.parse(text);
  // Offsets are in bytes. Characters of ASCII text correspond to bytes; other text is decoded as Latin-1 so that they
  // do.
  const quick = isObject(json)
    ? skimmed(text.length === bytes.length ? text : bytes.toString("latin1"), json, maxJsonDepth)
    : null;
  if (quick !== null) return { json, outline: quick };
  const parsed = outline(bytes, maxJsonDepth);
  return typeof parsed === "string" ? parsed : { json: parseJson(text), outline: parsed };
}

/** Parses a complete body. */
export function parseBody(bytes: Buffer, limits: BodyLimits = defaultBodyLimits): Received | Failure {
  const text = bytes.toString("utf8");
  let parsed: ReturnType<typeof read>;
  try {
    parsed = read(bytes, text, limits.jsonDepth);
  } catch (cause) {
    return failure("invalid_json", `The request body is not valid JSON${position(cause)}.`);
  }
  if (typeof parsed === "string") return failure("invalid_json", problems[parsed]);
  const body = parsed.json as JsonObject;
  const model = body["model"] ?? null;
  if (model !== null && (typeof model !== "string" || model === ""))
    return failure("invalid_value", "`model` must be a non-empty string.", { param: "model" });
  const stream = body["stream"] ?? false;
  if (typeof stream !== "boolean")
    return failure("invalid_value", "`stream` must be true or false.", { param: "stream" });
  return tooMany(body, limits) ?? { bytes, json: body, outline: parsed.outline, model, stream };
}

/** The body with this model instead of its own; null: as it is. */
export function withModel(received: Received, model: string | null): Received | Failure {
  if (model === null || model === received.model) return received;
  return parseBody(applyEdits(received.bytes, received.outline, { model }), parsedBefore);
}

/** Lists of a request, and what limits their entries. */
const lists: Readonly<Record<string, "entries" | "tools">> = {
  messages: "entries",
  input: "entries",
  prompt: "entries",
  documents: "entries",
  tools: "tools",
  functions: "tools",
};

function tooMany(body: JsonObject, limits: BodyLimits): Failure | null {
  for (const name in lists) {
    const list = body[name];
    const limit = lists[name] ?? "entries";
    // A prompt given as token numbers is one entry.
    if (!Array.isArray(list) || list.length <= limits[limit] || typeof list[0] === "number") continue;
    const message = `\`${name}\` has ${list.length} entries; a request may have ${limits[limit]}. Send fewer, ${orRaise(limit)}.`;
    return failure("invalid_value", message, { param: name });
  }
  return null;
}

/** The offset of the syntax error. V8's message may quote the body, so it is not shown. */
function position(cause: unknown): string {
  const at = cause instanceof SyntaxError ? /position (\d+)/.exec(cause.message)?.[1] : undefined;
  return at === undefined ? "" : ` at offset ${at}`;
}
