/** Seals the ids in an answer that passes through. */
import { Buffer } from "node:buffer";
import { type SealId, sealFrames, sealIds } from "../ids/seal-reply.ts";
import type { Prepared } from "./prepared.ts";
import { isProviderError } from "./provider-error.ts";
import type { StreamReader, StreamStep } from "./reader.ts";

const asBytes = (out: Uint8Array | string): Uint8Array => (typeof out === "string" ? Buffer.from(out) : out);

function sealedReader(reader: StreamReader, seal: SealId, root: boolean): StreamReader {
  const sealed = (out: Uint8Array | string): Uint8Array => {
    const bytes = asBytes(out);
    return bytes.length === 0 ? bytes : sealFrames(bytes, seal, root);
  };
  const step = (given: StreamStep): StreamStep => ({
    ...given,
    out: sealed(given.out),
    ...(given.own === undefined ? {} : { own: sealed(given.own) }),
  });
  const { release } = reader;
  return {
    push: (bytes) => step(reader.push(bytes)),
    close: () => step(reader.close()),
    ...(release === undefined ? {} : { release: () => sealed(release()) }),
    usage: () => reader.usage(),
    usageIsFinal: () => reader.usageIsFinal(),
    awaitsUsage: () => reader.awaitsUsage(),
    contentLength: () => reader.contentLength(),
  };
}

/** `root`: whether the answer's own `id` identifies a kept object. */
export function withSealedIds(prepared: Prepared, seal: SealId, root: boolean): Prepared {
  return {
    outgoing: prepared.outgoing,
    dropped: prepared.dropped,
    translated: prepared.translated,
    whole(bytes, headers) {
      const whole = prepared.whole(bytes, headers);
      if (isProviderError(whole)) return whole;
      const { body } = whole;
      const text = typeof body === "string" ? body : Buffer.from(body).toString("utf8");
      return { ...whole, body: sealIds(text, seal, root) };
    },
    reader(headers) {
      const reader = prepared.reader(headers);
      return reader === null ? null : sealedReader(reader, seal, root);
    },
  };
}
