/** What to send to one target, and how to read what comes back. */
import type { Buffer } from "node:buffer";
import type { ProviderError } from "../dialects/canonical.ts";
import type { Outgoing } from "../providers/provider.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import type { StreamReader } from "./reader.ts";
import type { WholeReply } from "./whole-reply.ts";

export interface Prepared {
  outgoing: Outgoing;
  /** Parameters that this provider lacks and that were left out. */
  dropped: string[];
  translated: boolean;
  /** A whole 2xx answer, or why it is none. */
  whole(bytes: Buffer, headers: ResponseHeaders): WholeReply | ProviderError;
  /** null where the operation has no stream. */
  reader(): StreamReader | null;
}
