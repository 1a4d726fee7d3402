/** What to send to one target, and how to read its answer. */
import type { Buffer } from "node:buffer";
import type { ProviderError } from "../dialects/canonical.ts";
import type { Outgoing } from "../providers/provider.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import type { StreamReader } from "./reader.ts";
import type { WholeReply } from "./whole-reply.ts";

export interface Prepared {
  outgoing: Outgoing;
  /** Parameters that were dropped because this provider lacks them. */
  dropped: string[];
  translated: boolean;
  /** Reads a whole 2xx answer, or says why it is not one. */
  whole(bytes: Buffer, headers: ResponseHeaders): WholeReply | ProviderError;
  /** null if the operation has no stream. */
  reader(): StreamReader | null;
}
