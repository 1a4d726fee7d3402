/**
 * Short-lived tokens for clients that can't keep a key, such as web pages. A key mints them; each stands for the very
 * key that minted it and dies with it, so nothing has to be stored: `slt_`, the claims, and an HMAC over both with a key
 * that is derived from the pepper and used for nothing else.
 */
import { Buffer } from "node:buffer";
import { createHash, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { parseJson } from "../wire/json.ts";

export const clientTokenPrefix = "slt_";

const claims = z.strictObject({
  /** Which signing key: the first 8 hex digits of its digest. */
  kid: z.string(),
  /** `namespace/name` of the key that minted it. */
  key: z.string(),
  /** Tells the keys of one ApiKey apart, without telling a key's digest. */
  bind: z.string(),
  /** Models that it may be used for; null: all that its key may. */
  models: z.array(z.string()).nullable(),
  /** Origin of the page that may use it; null: any client. */
  origin: z.string().nullable(),
  /** Epoch milliseconds. */
  expiresAtMs: z.int(),
});
export type ClientTokenClaims = Omit<z.output<typeof claims>, "kid" | "bind">;

/** What a token says, once its signature is checked: the key's digest can be compared with `isOf`. */
export type OpenedToken = ClientTokenClaims & { isOf(digest: string): boolean };

export class ClientTokens {
  readonly #secret: Uint8Array;
  readonly #kid: string;

  constructor(pepper: Uint8Array) {
    this.#secret = new Uint8Array(hkdfSync("sha256", pepper, "", "sluice client tokens v1", 32));
    this.#kid = createHash("sha256").update(this.#secret).digest("hex").slice(0, 8);
  }

  #sign(text: string): Buffer {
    return createHmac("sha256", this.#secret).update(text).digest();
  }

  #bind(digest: string): string {
    return this.#sign(`key ${digest}`).toString("base64url").slice(0, 22);
  }

  /** `digest`: that of the key which mints. */
  mint(given: ClientTokenClaims, digest: string): string {
    const body =
      clientTokenPrefix +
      Buffer.from(JSON.stringify({ kid: this.#kid, bind: this.#bind(digest), ...given })).toString("base64url");
    return `${body}.${this.#sign(body).toString("base64url")}`;
  }

  /** null where it was not made here, or is damaged. Whether it has expired is for the caller to see. */
  open(token: string): OpenedToken | null {
    const dot = token.lastIndexOf(".");
    const body = token.slice(0, dot);
    const signature = Buffer.from(token.slice(dot + 1), "base64url");
    const wanted = this.#sign(body);
    if (dot < 0 || signature.length !== wanted.length || !timingSafeEqual(signature, wanted)) return null;
    const parsed = claims.safeParse(
      parseJson(Buffer.from(body.slice(clientTokenPrefix.length), "base64url").toString("utf8")),
    );
    if (!parsed.success || parsed.data.kid !== this.#kid) return null;
    const { kid: _, bind, ...rest } = parsed.data;
    return { ...rest, isOf: (digest) => this.#bind(digest) === bind };
  }
}
