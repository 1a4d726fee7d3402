/**
 * The excerpt of requests and answers that is logged if a policy asks for it: the beginning, masked, and without keys.
 */
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import { everyMask, type Masker } from "../masking/masker.ts";
import { Tally } from "../masking/tally.ts";
import { accountSecrets } from "../providers/account.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { jsonIn } from "../wire/json.ts";

/** Length of each body's excerpt, in characters. */
const most = 16_384;
/** Largest body that is parsed for its excerpt. */
const maxParsed = 1_048_576;
const deepest = 64;
/** Shortest secret that is removed: shorter ones can't be distinguished from words. */
const minSecretLength = 8;
/** Any Sluice API key. */
const ownKey = /\bslc_[\w-]{8,}/g;

const isLong = (secret: string): boolean => secret.length >= minSecretLength;

/** Credentials of all providers in a snapshot, which is immutable. */
const gatewaySecrets = new WeakMap<Snapshot["providers"], readonly string[]>();

function secretsOfGateway(providers: Snapshot["providers"]): readonly string[] {
  let cached = gatewaySecrets.get(providers);
  if (cached === undefined) {
    cached = [...providers.values()].flatMap(({ account }) => accountSecrets(account)).filter(isLong);
    gatewaySecrets.set(providers, cached);
  }
  return cached;
}

/** Credentials of the caller and the gateway. A prompt may contain them, and a provider may repeat them. */
export function secretsOf(headers: IncomingHttpHeaders, { providers }: Pick<Snapshot, "providers">): string[] {
  const { authorization = "", "x-api-key": key, "api-key": other } = headers;
  const theirs = [
    authorization.slice(authorization.indexOf(" ") + 1).trim(),
    ...[key, other].filter((value) => typeof value === "string"),
  ];
  return [...theirs.filter(isLong), ...secretsOfGateway(providers)];
}

/** Whether an answer contains a key, so that only the caller who sent it may get the answer. */
export function holdsSecret(body: Buffer, secrets: readonly string[]): boolean {
  return (
    secrets.some((secret) => body.includes(secret)) ||
    (body.includes("slc_") && body.toString("latin1").search(ownKey) >= 0)
  );
}

/** Edits every string of a body, as far as it is logged. */
class Redactor {
  readonly #masker: Masker | null;
  readonly #secrets: readonly string[];
  /** Characters left to process; anything after them is cut off. */
  #left = most;

  constructor(masker: Masker | null, secrets: readonly string[]) {
    this.#masker = masker;
    this.#secrets = secrets;
  }

  text(whole: string): string {
    // Part of a value would not be recognised, so cut before the word or number at the limit.
    const cut = whole.length <= this.#left ? whole : whole.slice(0, this.#left);
    let text = cut === whole ? whole : cut.slice(0, (this.#masker ?? everyMask).openEnd(cut));
    this.#left -= cut.length;
    for (const secret of this.#secrets) if (text.includes(secret)) text = text.replaceAll(secret, "[KEY]");
    if (text.includes("slc_")) text = text.replace(ownKey, "[KEY]");
    return this.#masker === null ? text : new Tally(this.#masker).mask(text, false);
  }

  /** JSON strings must be decoded before they are searched: `\u0040` is an @. */
  value(value: unknown, depth = 0): unknown {
    if (typeof value === "string") return this.#string(value, depth);
    if (typeof value === "number") return this.#number(value);
    if (value === null || typeof value !== "object") return value;
    if (depth > deepest) return null;
    if (Array.isArray(value))
      return value.slice(0, Math.max(0, this.#left)).map((element) => this.value(element, depth + 1));
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [this.text(name), this.value(member, depth + 1)]),
    );
  }

  /** JSON within JSON, such as a tool's arguments. */
  #string(text: string, depth: number): string {
    const inner = depth < deepest && /^\s*[[{]/.test(text) && text.length <= this.#left ? jsonIn(text) : undefined;
    return inner === undefined ? this.text(text) : JSON.stringify(this.value(inner, depth + 1));
  }

  #number(value: number): number | string {
    const text = String(value);
    const masked = this.text(text);
    return masked === text ? value : masked;
  }
}

const textOf = (body: Uint8Array | string, bytes: number): string =>
  typeof body === "string"
    ? body.slice(0, bytes)
    : Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, bytes)).toString("utf8");

/** For JSON that is too large or too broken to parse: the letter of an escape must not hide the text next to it. */
const unescaped = (text: string): string =>
  text
    .replace(/\\u([0-9a-fA-F]{4})/g, (_whole, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replace(/\\[nrtbf]/g, " ");

/** `masker`: null keeps personal data. */
export function excerpt(body: Uint8Array | string, masker: Masker | null, secrets: readonly string[]): string {
  const cleaner = new Redactor(masker, secrets);
  const json = masker !== null && body.length <= maxParsed ? jsonIn(textOf(body, maxParsed)) : undefined;
  if (json === undefined || typeof json !== "object") {
    const text = textOf(body, 4 * most);
    return cleaner.text(masker === null ? text : unescaped(text)).slice(0, most);
  }
  return JSON.stringify(cleaner.value(json)).slice(0, most);
}

type Body = Uint8Array | string;

export const excerpts = (
  request: Body,
  response: Body,
  masker: Masker | null,
  secrets: readonly string[],
): { request: string; response: string } => ({
  request: excerpt(request, masker, secrets),
  response: excerpt(response, masker, secrets),
});
