/**
 * Texts that callers keep for the gateway, sealed for the user who got them with a key that is derived from the pepper and
 * used for nothing else. Nothing is stored, and nobody else can read or change them.
 */
import { Buffer } from "node:buffer";
import { hkdfSync } from "node:crypto";
import { Sealer } from "../seal/seal.ts";
import type { Owner } from "./id-seal.ts";

const keyFrom = (pepper: Uint8Array): string =>
  Buffer.from(hkdfSync("sha256", pepper, "", "sluice kept texts v1", 32)).toString("base64");

const placeOf = ({ namespace, user }: Owner): string => JSON.stringify(["text", namespace, user]);

export class TextSeal {
  readonly #sealer: Sealer;

  /** `previous`: peppers before this one, whose texts still open. */
  constructor(pepper: Uint8Array, previous: readonly Uint8Array[] = []) {
    this.#sealer = new Sealer([pepper, ...previous].map(keyFrom).join(","));
  }

  seal(owner: Owner, text: string): string {
    return this.#sealer.seal(placeOf(owner), Buffer.from(text)).toString("base64url");
  }

  /** null: it was changed, or not sealed here for this owner. */
  open(owner: Owner, sealed: string): string | null {
    return this.#sealer.open(placeOf(owner), Buffer.from(sealed, "base64url"))?.toString("utf8") ?? null;
  }
}
