/** How an attempt reads its answer, and the evidence that it reports at its end. */
import { Buffer } from "node:buffer";
import type { ResponseHeaders, UpstreamCall } from "../wire/upstream.ts";
import type { AttemptEvidence } from "./attempt-result.ts";
import type { Prepared } from "./prepared.ts";
import type { StreamReader } from "./reader.ts";

export const joinedChunks = (chunks: readonly Buffer[]): Buffer =>
  chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);

/** Returns null if the answer is neither an event stream nor a file. */
export function streamReader(prepared: Prepared, headers: ResponseHeaders): StreamReader | null {
  const type = String(headers["content-type"] ?? "");
  const streams = type.includes("event-stream") || type.includes("eventstream");
  const isFile = (prepared.fileType?.(headers) ?? null) !== null;
  return streams || isFile ? prepared.reader(headers) : null;
}

export const evidenceOf = (
  call: UpstreamCall | null,
  reader: StreamReader | null,
  refused: boolean,
): AttemptEvidence => ({
  sent: call?.sent ?? false,
  usage: reader?.usage() ?? null,
  usageIsFinal: reader?.usageIsFinal() ?? false,
  contentLength: reader?.contentLength() ?? 0,
  refused,
});
