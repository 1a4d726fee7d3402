/** How an attempt reads what arrives, and what it knows of it at its end. */
import { Buffer } from "node:buffer";
import type { ResponseHeaders, UpstreamCall } from "../wire/upstream.ts";
import type { AttemptEvidence } from "./attempt-result.ts";
import type { Prepared } from "./prepared.ts";
import type { StreamReader } from "./reader.ts";

export const joinedChunks = (chunks: readonly Buffer[]): Buffer =>
  chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);

/** null: the answer is neither a stream of events nor a file. */
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
