/**
 * Stage: removes personal data from the request and, if the policy says so, removes it from the answer or restores it
 * there.
 */

import type { Received } from "../call/received.ts";
import type { CallRecord } from "../call/record.ts";
import { isChat, type WireFormat } from "../config/capabilities.ts";
import { type Failure, isFailure } from "../failure.ts";
import { MaskAnswer, Restore } from "../masking/changes.ts";
import { ReplyTexts } from "../masking/reply.ts";
import { maskRequest } from "../masking/request.ts";
import { Tally } from "../masking/tally.ts";
import type { TextPool } from "../text-work/pool.ts";
import type { ClientConnection } from "../wire/client.ts";
import { MovedAnswers, maskedElsewhere } from "./moved-texts.ts";
import type { Authorised, Masked } from "./proof.ts";

export interface MaskedCall {
  received: Received;
  format: WireFormat;
  client: ClientConnection;
  record: CallRecord;
  /** Where large answers are masked. */
  pool: TextPool;
  /** Shares the pool's threads fairly among namespaces. */
  namespace: string;
}

/** The request to use instead of the received one. `record.masked` is updated while the answer passes. */
export function mask({ route: { masker }, texts }: Authorised, call: MaskedCall): Masked | Failure {
  const { received, format, client, record } = call;
  if (masker === null) return received as Masked;
  const tally = new Tally(masker);
  record.masked = tally.counts;
  const request = texts === undefined ? maskRequest(received, tally) : maskedElsewhere(received, texts, tally);
  if (isFailure(request) || !hasWords(received, format)) return request as Masked | Failure;
  if (tally.placeholders.size > 0) client.filter(new ReplyTexts(format, new Restore(tally)));
  // Nearest to the provider, so that cached and logged answers are masked as well.
  if (masker.config.answers) {
    const here = new ReplyTexts(format, new MaskAnswer(masker, tally));
    client.filterFirst(new MovedAnswers(here, call, masker, tally));
  }
  return request as Masked;
}

/** Whether the answer contains text that may hold personal data. */
const hasWords = ({ isFile }: Received, format: WireFormat): boolean =>
  isChat(format) || (isFile !== true && /\.(transcriptions|translations|rerank)$/.test(format));

/** The request as received, for `explain`, which sends nothing. */
export const unmasked = (_: Authorised, received: Received): Masked => received as Masked;
