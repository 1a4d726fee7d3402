/** What a Pod gets from its cloud: environment variables, files, and services at fixed local addresses. */
import { TokenServiceError } from "../wire/causes.ts";
import { isObject, jsonIn } from "../wire/json.ts";

export interface CloudAnswer {
  status: number;
  body: string;
}

export interface CloudRequest {
  method: "GET" | "POST" | "PUT";
  headers: Record<string, string>;
  body: string | null;
}

export interface Ambient {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether the metadata server of the node may be asked. */
  readonly metadata: boolean;
  nowMs(): number;
  readFile(path: string): Promise<string>;
  /** A call to a token service over the network. */
  send(url: string, request: CloudRequest & { method: "GET" | "POST" }): Promise<CloudAnswer>;
  /** A call to a service on the node: the metadata server, or the EKS Pod Identity agent. */
  local(url: string, request: CloudRequest): Promise<CloudAnswer>;
}

export interface Lasting<Value> {
  value: Value;
  expiresAtMs: number;
}

/** Statuses that say nothing about the identity: timeout, rate limit, outage. */
const passing = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** A service's code is shown only in the form of a word, since its text could repeat what it was sent. */
export function codeWord(...candidates: unknown[]): string | null {
  const word = candidates.find((text) => typeof text === "string" && /^[A-Za-z][A-Za-z0-9_.:-]{0,63}$/.test(text));
  return (word as string | undefined) ?? null;
}

/** `code`: the service's own, if it gave one. */
export function cloudRefusal(service: string, status: number, code: string | null): TokenServiceError {
  const said = code === null ? `${service} answered ${status}` : `${service} answered ${status} ${code}`;
  const throttled = code !== null && /Throttl|TooManyRequests|SlowDown|RequestLimit/i.test(code);
  return new TokenServiceError(passing(status) || throttled ? "token_failed" : "token_identity_refused", said, said);
}

/** The Pod lacks something that the platform team has to set up. */
export const notSetUp = (said: string): TokenServiceError =>
  new TokenServiceError("token_identity_refused", said, said);

/** A file that the cloud's webhook mounts and renews. It is read for each exchange. */
export async function mounted(ambient: Ambient, path: string, what: string): Promise<string> {
  try {
    return (await ambient.readFile(path)).trim();
  } catch {
    throw notSetUp(`the ${what} file of the proxy can't be read`);
  }
}

export function jsonObject({ body, status }: CloudAnswer, service: string): Record<string, unknown> {
  const parsed = jsonIn(body);
  if (isObject(parsed)) return parsed;
  if (status !== 200) return {};
  const said = `${service} answered without a token`;
  throw new TokenServiceError("token_invalid", said, said);
}

/** A member that the answer must have. */
export function memberText(body: Readonly<Record<string, unknown>>, name: string, service: string): string {
  const value = body[name];
  if (typeof value === "string" && value !== "") return value;
  const said = `${service} answered without a token`;
  throw new TokenServiceError("token_invalid", said, said);
}

const defaultLifeMs = 300_000;

/** From seconds as a number or text; a lifetime that can't be used counts as five minutes. */
export function expiryIn(seconds: unknown, nowMs: number): number {
  const life = Number(seconds) * 1_000;
  return nowMs + (Number.isFinite(life) && life > 0 ? life : defaultLifeMs);
}

/** From a date of RFC 3339. */
export function expiryAt(date: unknown, nowMs: number): number {
  const parsed = typeof date === "string" ? Date.parse(date) : Number.NaN;
  return Number.isFinite(parsed) && parsed > nowMs ? parsed : nowMs + defaultLifeMs;
}
