/** What to send to one target, and how to read its answer. */
import type { Buffer } from "node:buffer";
import type { ProviderError } from "../dialects/canonical.ts";
import type { ReplyContext } from "../dialects/dialect.ts";
import type { Outgoing } from "../providers/provider.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import type { StreamReader } from "./reader.ts";
import type { WholeReply } from "./whole-reply.ts";

/** Seals ids of objects that a provider keeps for the caller. */
export interface IdSealer {
  sealId(provider: string, id: string): string;
}

export interface PrepareContext {
  requestId: string;
  nowMs: number;
  deadlineMs: number;
  /** Largest event of a stream, in bytes. */
  maxEventBytes?: number | undefined;
  /** Headers passed on to the upstream. */
  forwarded: Record<string, string>;
  /** Absent if ids will never be sent back. */
  sealer?: IdSealer | undefined;
  /** See `ReplyContext`. */
  keepItems?: ReplyContext["keepItems"];
}

export interface Prepared {
  outgoing: Outgoing;
  /** Parameters that were dropped because this provider lacks them. */
  dropped: string[];
  translated: boolean;
  /** Reads a whole 2xx answer, or says why it is not one. */
  whole(bytes: Buffer, headers: ResponseHeaders): WholeReply | ProviderError;
  /** null if the operation has no stream. */
  reader(headers: ResponseHeaders): StreamReader | null;
  /** Content type of an answer that is a file, passed on as it arrives; null or absent if it isn't a file. */
  fileType?(headers: ResponseHeaders): string | null;
}
