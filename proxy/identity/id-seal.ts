/**
 * Ids that providers hand out, sealed for the caller that they were handed to. A sealed id is the provider's own with a
 * suffix: which account keeps the object, whose it is, and an HMAC over all of it with a key that is derived from the
 * pepper and used for nothing else. Nothing is stored, and for any other caller there is no such object.
 */
import { Buffer } from "node:buffer";
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

/** A user of a namespace. */
export interface Owner {
  namespace: string;
  /** "" for callers without a key. */
  user: string;
  /** May use what was handed to any user of the namespace. */
  seesNamespace: boolean;
}

export interface OpenedId {
  /** The provider's own. */
  id: string;
  /** `namespace/name` of the provider that keeps the object. */
  account: string;
}

const tagLength = 8;
const macLength = 22;
const plainMark = "_s1";
/** The provider's id in base64url, where it has letters that a path or an SDK may not take. */
const encodedMark = "_s2";
const suffixLength = plainMark.length + 2 * tagLength + macLength;
const plainId = /^[A-Za-z0-9][A-Za-z0-9_-]{0,199}$/;
const sealedForm = /^[A-Za-z0-9_-]{1,300}_s[12][A-Za-z0-9_-]{38}$/;
/** Longer ids are nobody's. */
export const maxSealedIdLength = 344;

/** Whether a text has the form of a sealed id. The seal is not checked. */
export const looksSealed = (text: string): boolean => text.length <= maxSealedIdLength && sealedForm.test(text);

class Key {
  readonly #secret: Uint8Array;

  constructor(pepper: Uint8Array) {
    this.#secret = new Uint8Array(hkdfSync("sha256", pepper, "", "sluice object ids v1", 32));
  }

  digest(parts: readonly string[], length: number): string {
    return createHmac("sha256", this.#secret).update(JSON.stringify(parts)).digest("base64url").slice(0, length);
  }

  mac(namespace: string, tags: string, id: string): string {
    return this.digest(["id", namespace, tags, id], macLength);
  }

  account(provider: string): string {
    return this.digest(["account", provider], tagLength);
  }

  user({ namespace, user }: Owner): string {
    return this.digest(["user", namespace, user], tagLength);
  }
}

function equal(text: string, other: string): boolean {
  const a = Buffer.from(text);
  const b = Buffer.from(other);
  return a.length === b.length && timingSafeEqual(a, b);
}

export class IdSeal {
  readonly #keys: readonly Key[];
  readonly #providers: Iterable<string>;
  /** Tag → provider, made when the first id is opened. */
  #accounts: ReadonlyMap<string, string> | null = null;

  /** `providers`: `namespace/name` of each. `previous`: peppers before this one, whose ids still open. */
  constructor(pepper: Uint8Array, providers: Iterable<string>, previous: readonly Uint8Array[] = []) {
    this.#keys = [pepper, ...previous].map((secret) => new Key(secret));
    this.#providers = providers;
  }

  #accountOf(tag: string): string | null {
    this.#accounts ??= new Map(
      [...this.#providers].flatMap((provider) => this.#keys.map((key) => [key.account(provider), provider] as const)),
    );
    return this.#accounts.get(tag) ?? null;
  }

  get #current(): Key {
    return this.#keys[0] as Key;
  }

  /** `provider`: `namespace/name` of the object whose account keeps it. */
  seal(owner: Owner, provider: string, id: string): string {
    const key = this.#current;
    const tags = key.account(provider) + key.user(owner);
    const body = plainId.test(id) ? id + plainMark : Buffer.from(id).toString("base64url") + encodedMark;
    return body + tags + key.mac(owner.namespace, tags, id);
  }

  /** Whose it is, for marks on objects that the provider keeps; no help to who guesses a name. */
  mark(owner: Owner): string {
    return this.#marks(owner)[0] as string;
  }

  #marks(owner: Owner): string[] {
    return this.#keys.map((key) => key.digest(["namespace", owner.namespace], tagLength) + key.user(owner));
  }

  /** Whether a mark is the owner's, or one of its namespace where it may see that. */
  isMarkedFor(owner: Owner, mark: string): boolean {
    return this.#marks(owner).some((own) =>
      owner.seesNamespace ? own.slice(0, tagLength) === mark.slice(0, tagLength) : own === mark,
    );
  }

  /** null: it was not made here, or not for this owner, or its provider is gone. */
  open(owner: Owner, sealed: string): OpenedId | null {
    if (!looksSealed(sealed)) return null;
    const split = sealed.length - suffixLength;
    const mark = sealed.slice(split, split + plainMark.length);
    const tags = sealed.slice(split + plainMark.length, sealed.length - macLength);
    const body = sealed.slice(0, split);
    const id = mark === plainMark ? body : Buffer.from(body, "base64url").toString("utf8");
    for (const key of this.#keys) {
      if (!equal(key.mac(owner.namespace, tags, id), sealed.slice(-macLength))) continue;
      if (!owner.seesNamespace && !equal(tags.slice(tagLength), key.user(owner))) return null;
      const account = this.#accountOf(tags.slice(0, tagLength));
      return account === null ? null : { id, account };
    }
    return null;
  }
}
