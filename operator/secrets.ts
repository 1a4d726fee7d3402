/** Reduces a Secret's value to facts that the rest of the operator may know. */
import { Buffer } from "node:buffer";
import { KeyedDigester } from "../proxy/config/encode.ts";
import { minKeyCharacters } from "../proxy/config/key-record.ts";
import type { SecretFact } from "./compile/world.ts";
import { pemFacts } from "./pem.ts";

/** Keys that Sluice makes start with this, and show this many characters. */
const ownKey = /^slc_[A-Za-z0-9_-]{8,}$/;
const shownCharacters = 8;
/** No server accepts a larger header, and everything that proxies mount must fit into one Secret of 1 MiB. */
const maxBytes = 16_384;
const moment = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z$/;

export const secretFact = (pepper: Uint8Array, value: string): SecretFact =>
  secretFactBy(new KeyedDigester(pepper), value);

/** `secretFact` for many values. */
export function secretFactBy(digester: KeyedDigester, value: string): SecretFact {
  const displayPrefix = ownKey.test(value) ? value.slice(0, shownCharacters) : "";
  const fact: SecretFact = {
    digest: digester.digest(value),
    displayPrefix,
    length: Buffer.byteLength(value),
    ...([...value.slice(0, 2 * minKeyCharacters)].length < minKeyCharacters ? { shortForKey: true as const } : {}),
    ...(moment.test(value) ? { momentMs: Date.parse(value) } : {}),
    ...pemFacts(value),
  };
  if (value.trim() === "") return { ...fact, unusable: "the value is empty" };
  if (Buffer.byteLength(value) > maxBytes) return { ...fact, unusable: "the value is larger than 16 KiB" };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(value))
    return {
      ...fact,
      unusable: "the value holds line ends or control characters; write it without a trailing newline",
    };
  if (value.includes("\ufffd")) return { ...fact, unusable: "the value is not UTF-8 text" };
  const doubtful = doubtAbout(value);
  return doubtful === null ? fact : { ...fact, doubtful };
}

/** How keys of well-known providers, and Sluice's own, begin. */
const keyStart = /^(?:sk-|slc_|gsk_|xai-|pplx-|hf_|nvapi-|AIza|AKIA)[\w-]{12,}\s*$/;

function doubtAbout(value: string): string | null {
  if (/^(["'`]).+\1$/.test(value)) return "the value is in quotation marks; store it without them";
  if (/^bearer\s/i.test(value)) return "the value begins with Bearer; store the key alone";
  if (/^\s|\s$/.test(value)) return "the value begins or ends with a blank; store it without";
  const isEncoded = /^[A-Za-z0-9+/]{16,}={0,2}$/.test(value) && keyStart.test(Buffer.from(value, "base64").toString());
  return isEncoded ? "the value is a key in Base64; encode it once under data, or not at all under stringData" : null;
}
