/** Encrypted cookies: browsers can neither read nor change them, and each is valid for one purpose. */
import { hkdfSync } from "node:crypto";
import { EncryptJWT, type JWTPayload, jwtDecrypt } from "jose";

export type SealPurpose = "console-login" | "console-session";

export interface CookieSeal {
  seal(purpose: SealPurpose, content: JWTPayload, seconds: number): Promise<string>;
  /** Returns null if it is invalid, for another purpose, or too old. */
  open(purpose: SealPurpose, sealed: string): Promise<JWTPayload | null>;
}

const keyBytes = 32;

/** `secret`: known to every replica of the operator and to nobody else; empty while there is none. */
export function cookieSeal(secret: () => Promise<string>, nowMs: () => number): CookieSeal {
  const key = async (): Promise<Uint8Array> => {
    const text = await secret();
    if (text === "") throw new Error("there is no secret yet to seal the console's cookies with");
    return new Uint8Array(hkdfSync("sha256", text, "", "sluice console cookies", keyBytes));
  };
  return {
    async seal(purpose, content, seconds) {
      const now = Math.floor(nowMs() / 1000);
      return new EncryptJWT(content)
        .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
        .setAudience(purpose)
        .setExpirationTime(now + seconds)
        .encrypt(await key());
    },
    async open(purpose, sealed) {
      const secretKey = await key();
      try {
        const { payload } = await jwtDecrypt(sealed, secretKey, {
          audience: purpose,
          requiredClaims: ["exp"],
          keyManagementAlgorithms: ["dir"],
          contentEncryptionAlgorithms: ["A256GCM"],
          currentDate: new Date(nowMs()),
        });
        return payload;
      } catch {
        return null;
      }
    },
  };
}
