/** Bodies in audit records, sealed for the record that they belong to: they don't open in another one. */
import { Buffer } from "node:buffer";
import { z } from "zod";
import type { Sealer } from "../seal/seal.ts";

export interface Bodies {
  request: string;
  response: string;
}

const form = z.object({ request: z.string(), response: z.string() });
const place = (chain: string, seq: number): string => `audit/${chain}/${seq}`;

/** Base64. */
export function sealBodies(sealer: Sealer, chain: string, seq: number, { request, response }: Bodies): string {
  return sealer.seal(place(chain, seq), Buffer.from(JSON.stringify({ request, response }))).toString("base64");
}

/** The bodies, or why they can't be read. */
export function openBodies(sealer: Sealer | null, chain: string, seq: number, text: string): Bodies | string {
  if (sealer === null) return "they are sealed, and SLUICE_SEALING_KEYS has no key";
  const sealed = Buffer.from(text, "base64");
  const missing = sealer.missing(sealed);
  if (missing !== null) return `they are sealed with key ${missing}, which is not in SLUICE_SEALING_KEYS`;
  const clear = sealer.open(place(chain, seq), sealed);
  if (clear === null) return "they were changed, or belong to another record";
  try {
    return form.parse(JSON.parse(clear.toString("utf8")));
  } catch {
    return "they are of a form that this version does not know";
  }
}
