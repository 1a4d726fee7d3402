/**
 * Reads a collector's answer to a request that it accepted in part: `partial_success` of the OTLP specification. If an
 * answer can't be read, only its status counts, since a client must not send the same again.
 */
import type { Buffer } from "node:buffer";
import { isObject, type JsonObject, parseJson } from "./json.ts";
import type { PartlyTaken } from "./otlp-collector.ts";
import { ProtobufReader } from "./protobuf.ts";

/** Longer answers are not read. */
export const maxCollectorAnswer = 65_536;
const maxMessage = 200;

interface PartialSuccess {
  /** As sent by the collector; may be any number. */
  rejected: number;
  message: string;
}

/** The responses for traces, metrics and logs have the same fields, by number. */
function fromProtobuf(bytes: Buffer): PartialSuccess {
  const partial: PartialSuccess = { rejected: 0, message: "" };
  new ProtobufReader(bytes).each((outer, inside) => {
    if (outer !== 1 || typeof inside === "bigint") return;
    new ProtobufReader(inside).each((field, value) => {
      if (field === 1 && typeof value === "bigint") partial.rejected = Number(BigInt.asIntN(64, value));
      else if (field === 2 && typeof value !== "bigint") partial.message = value.toString("utf8");
    });
  });
  return partial;
}

const objectIn = (value: unknown): JsonObject => (isObject(value) ? value : {});

const rejectedNames = [
  ...["rejectedSpans", "rejected_spans", "rejectedLogRecords", "rejected_log_records"],
  ...["rejectedDataPoints", "rejected_data_points"],
];

/** Protobuf's JSON form allows both spellings of a field, and writes an int64 as a text. */
function fromJson(bytes: Buffer): PartialSuccess {
  const answer = objectIn(parseJson(bytes.toString("utf8")));
  const partial = objectIn(answer["partialSuccess"] ?? answer["partial_success"]);
  const rejected = rejectedNames.map((name) => partial[name]).find((count) => count !== undefined);
  const message = partial["errorMessage"] ?? partial["error_message"];
  const isNumber = typeof rejected === "number" || typeof rejected === "string";
  return { rejected: isNumber ? Number(rejected) : 0, message: typeof message === "string" ? message : "" };
}

function read(bytes: Buffer, isJson: boolean): PartialSuccess | null {
  try {
    return isJson ? fromJson(bytes) : fromProtobuf(bytes);
  } catch {
    return null;
  }
}

/** A line of bounded length, without values of the headers that were sent: a collector may repeat those. */
function spoken(message: string, headers: Readonly<Record<string, string>>): string {
  let text = message;
  for (const value of Object.values(headers))
    for (const part of new Set([value, ...value.split(/\s+/)]))
      if (part.length >= 4) text = text.replaceAll(part, "***");
  return text
    .replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, " ")
    .trim()
    .slice(0, maxMessage)
    .toWellFormed();
}

/** Returns null if the collector rejected nothing and has no warning. */
export function partlyTaken(
  bytes: Buffer,
  isJson: boolean,
  headers: Readonly<Record<string, string>>,
): PartlyTaken | null {
  if (bytes.length === 0) return null;
  const partial = read(bytes, isJson);
  if (partial === null) return null;
  const rejected = Number.isNaN(partial.rejected) ? 0 : Math.max(0, Math.floor(partial.rejected));
  const why = spoken(partial.message, headers);
  return rejected === 0 && why === "" ? null : { rejected, why };
}
