/** Removes the account's credentials from errors within answers, as `parseLoosely` does for error responses. */
import { Buffer } from "node:buffer";
import type { ProviderError } from "../dialects/canonical.ts";
import { hasSecrets } from "../providers/account.ts";
import type { ProviderAccount } from "../providers/provider.ts";
import { parseJson } from "../wire/json.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import type { Prepared } from "./prepared.ts";
import { isProviderError, withoutCredentials } from "./provider-error.ts";
import type { StreamReader, StreamStep } from "./reader.ts";

type Account = Pick<ProviderAccount, "credentials" | "additions">;

/** Cleans every text of an error, as the provider's own members are passed on as well. */
function cleanError(error: ProviderError, account: Account): ProviderError {
  const text = JSON.stringify(error);
  const clean = withoutCredentials(text, account);
  return clean === text ? error : (parseJson(clean) as ProviderError);
}

function cleanBytes(out: Uint8Array | string, account: Account): Uint8Array | string {
  const text = typeof out === "string" ? out : Buffer.from(out).toString("latin1");
  const clean = withoutCredentials(text, account);
  if (clean === text) return out;
  return typeof out === "string" ? clean : Buffer.from(clean, "latin1");
}

function cleanStep(step: StreamStep, account: Account): StreamStep {
  const { error, reported, out, own } = step;
  if (error === null) return step;
  const clean = { ...step, error: cleanError(error, account) };
  if (reported !== true) return clean;
  return {
    ...clean,
    out: cleanBytes(out, account),
    ...(own === undefined ? {} : { own: Buffer.from(cleanBytes(own, account)) }),
  };
}

function cleanReader(reader: StreamReader, account: Account): StreamReader {
  return {
    ...reader,
    push: (bytes) => cleanStep(reader.push(bytes), account),
    close: () => cleanStep(reader.close(), account),
  };
}

class CleanPrepared implements Prepared {
  readonly outgoing: Prepared["outgoing"];
  readonly dropped: string[];
  readonly translated: boolean;
  readonly #inner: Prepared;
  readonly #account: Account;

  constructor(inner: Prepared, account: Account) {
    this.outgoing = inner.outgoing;
    this.dropped = inner.dropped;
    this.translated = inner.translated;
    this.#inner = inner;
    this.#account = account;
  }

  whole(bytes: Buffer, headers: ResponseHeaders): ReturnType<Prepared["whole"]> {
    const whole = this.#inner.whole(bytes, headers);
    return isProviderError(whole) ? cleanError(whole, this.#account) : whole;
  }

  fileType(headers: ResponseHeaders): string | null {
    const type = this.#inner.fileType?.(headers) ?? null;
    return type === null ? null : withoutCredentials(type, this.#account);
  }

  reader(headers: ResponseHeaders): StreamReader | null {
    const reader = this.#inner.reader(headers);
    return reader === null ? null : cleanReader(reader, this.#account);
  }
}

export const withCleanErrors = (prepared: Prepared, account: Account): Prepared =>
  hasSecrets(account) ? new CleanPrepared(prepared, account) : prepared;
