/**
 * Seals what leaves the process with AES-256-GCM, bound to the place where it is stored, so that nobody who can write
 * there can change or move it. The first key seals, all keys open: that allows rotation.
 *
 * Envelope: version (1 byte), key id (8), nonce (12), tag (16), ciphertext. Each place has its own key,
 * HMAC-SHA-256(key, place), so that random nonces never come near their limit (2^32 per key, NIST SP 800-38D).
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";

const version = 1;
const idBytes = 8;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = 1 + idBytes + nonceBytes + tagBytes;
const keyForm = /^[A-Za-z0-9+/]{43}=$/;

interface SealingKey {
  /** Hexadecimal. */
  id: string;
  secret: Buffer;
}

function keyOf(text: string, index: number): SealingKey {
  // The text is a secret, so it is not shown.
  if (!keyForm.test(text))
    throw new Error(
      `sealing keys: number ${index + 1} is not 32 bytes in base64; make one with: openssl rand -base64 32`,
    );
  const secret = Buffer.from(text, "base64");
  const id = createHash("sha256").update("sluice sealing key id").update(secret).digest("hex");
  return { id: id.slice(0, idBytes * 2), secret };
}

const placeKey = (key: SealingKey, place: string): Buffer => createHmac("sha256", key.secret).update(place).digest();

export class Sealer {
  readonly #first: SealingKey;
  readonly #keys: ReadonlyMap<string, SealingKey>;

  /** `keys`: 32 bytes in base64 each, separated by white space or commas. Throws an Error for the person at the terminal. */
  constructor(keys: string) {
    const all = keys
      .split(/[\s,]+/)
      .filter((text) => text !== "")
      .map(keyOf);
    const [first] = all;
    if (first === undefined) throw new Error("sealing keys: there are none; make one with: openssl rand -base64 32");
    this.#first = first;
    this.#keys = new Map(all.map((key) => [key.id, key]));
  }

  /** `place`: where it will be stored. It opens only for the same place. */
  seal(place: string, clear: Uint8Array): Buffer {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv("aes-256-gcm", placeKey(this.#first, place), nonce, { authTagLength: tagBytes });
    const head = Buffer.concat([Buffer.of(version), Buffer.from(this.#first.id, "hex")]);
    cipher.setAAD(Buffer.concat([head, Buffer.from(place)]));
    const body = Buffer.concat([cipher.update(clear), cipher.final()]);
    return Buffer.concat([head, nonce, cipher.getAuthTag(), body]);
  }

  /** Id, in hexadecimal, of a key that is missing here. null if the key is here, or this is no envelope. */
  missing(sealed: Buffer): string | null {
    if (sealed.length < headBytes || sealed[0] !== version) return null;
    const id = sealed.toString("hex", 1, 1 + idBytes);
    return this.#keys.has(id) ? null : id;
  }

  /** null if it was changed, moved, or sealed with a key that is no longer here. */
  open(place: string, sealed: Buffer): Buffer | null {
    if (sealed.length < headBytes || sealed[0] !== version) return null;
    const head = sealed.subarray(0, 1 + idBytes);
    const key = this.#keys.get(head.toString("hex", 1));
    if (key === undefined) return null;
    const nonce = sealed.subarray(head.length, head.length + nonceBytes);
    const decipher = createDecipheriv("aes-256-gcm", placeKey(key, place), nonce, { authTagLength: tagBytes });
    decipher.setAAD(Buffer.concat([head, Buffer.from(place)]));
    decipher.setAuthTag(sealed.subarray(headBytes - tagBytes, headBytes));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(headBytes)), decipher.final()]);
    } catch {
      return null;
    }
  }
}
