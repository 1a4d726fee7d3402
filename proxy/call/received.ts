/** The body of a request, parsed once. */
import type { Buffer } from "node:buffer";
import { type BodyLimits, defaultBodyLimits } from "../config/body-limits.ts";
import type { WireFormat } from "../config/capabilities.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import { editedForm, type FormPart, fieldsOf, parseForm } from "../media/form.ts";
import { mediaFormat } from "../media/registry.ts";
import { isObject, type JsonObject, parseJson } from "../wire/json.ts";
import { applyEdits } from "../wire/json-edit.ts";
import { type Outline, type OutlineProblem, outline } from "../wire/json-outline.ts";
import { skimmed } from "../wire/json-skim.ts";

/** For bodies that are made of one that was parsed within its limits. */
export const parsedBefore: BodyLimits = { entries: Infinity, tools: Infinity, jsonDepth: 1_024 };

export interface Received {
  bytes: Buffer;
  json: JsonObject;
  outline: Outline;
  /** The model asked for; null if the body names none. */
  model: string | null;
  /** Whether the answer is passed on as it arrives: as events, or as the bytes of a file. */
  stream: boolean;
  /** The parts of a form, whose fields are in `json`; absent for a JSON body. */
  parts?: readonly FormPart[];
  /** Whether the answer is the bytes of a file, which no event can be added to. */
  isFile?: true;
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
  return tooMany(body, limits) ?? known(body, parsed.outline, bytes);
}

/** Reads the members that every format has. */
function known(body: JsonObject, where: Outline, bytes: Buffer): Received | Failure {
  const model = body["model"] ?? null;
  if (model !== null && (typeof model !== "string" || model === ""))
    return failure("invalid_value", "`model` must be a non-empty string.", { param: "model" });
  const stream = body["stream"] ?? false;
  if (typeof stream !== "boolean")
    return failure("invalid_value", "`stream` must be true or false.", { param: "stream" });
  return { bytes, json: body, outline: where, model, stream };
}

/** Parses a form with uploads. */
export function parseFormBody(bytes: Buffer, contentType: string): Received | Failure {
  const parts = parseForm(bytes, contentType);
  if (typeof parts === "string") return failure("invalid_value", `The form can't be read: ${parts}.`);
  return ofParts(bytes, parts);
}

function ofParts(bytes: Buffer, parts: readonly FormPart[]): Received | Failure {
  const json = fieldsOf(parts);
  if (json === null || Object.hasOwn(json, "__proto__"))
    return failure("invalid_value", "The form has a field twice. Send each field once.");
  const members = Object.keys(json).map((name) => ({ name, valueStart: 0, valueEnd: 0 }));
  const received = known(json, { open: 0, members }, bytes);
  return isFailure(received) ? received : { ...received, parts };
}

/** The request with some members changed; undefined removes one. */
export function withEdits(received: Received, edits: JsonObject): Received | Failure {
  const { bytes, outline: where, parts, stream, isFile } = received;
  const edited =
    parts === undefined
      ? parseBody(applyEdits(bytes, where, edits), parsedBefore)
      : ofParts(bytes, editedForm(parts, edits));
  return isFailure(edited) ? edited : { ...edited, stream, ...(isFile === undefined ? {} : { isFile }) };
}

/** The body with this model instead of its own; null: as it is. */
export const withModel = (received: Received, model: string | null): Received | Failure =>
  model === null || model === received.model ? received : withEdits(received, { model });

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
  const offsetText = cause instanceof SyntaxError ? /position (\d+)/.exec(cause.message)?.[1] : undefined;
  return offsetText === undefined ? "" : ` at offset ${offsetText}`;
}

/** Notes how the answer of a call in this format comes. */
export function asAnswered(received: Received, format: WireFormat): Received {
  const kind = mediaFormat(format)?.answerKind(received.json);
  if (kind === undefined) return received;
  const file = kind === "bytes" ? { isFile: true as const } : {};
  return { ...received, stream: kind === "bytes" || kind === "events", ...file };
}
