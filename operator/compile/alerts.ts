/** spec.alerts → channels. Pure: a Secret's value is referred to by its digest, and the sender looks it up. */
import { durationMs } from "../../crds/quantity.ts";
import type { AlertsSpec } from "../../crds/types/alerts.ts";
import { own, problem } from "./outcome.ts";
import { unreadable } from "./secret-rights.ts";
import type { Problem } from "./verdict.ts";
import type { World } from "./world.ts";

export type ChannelType = "slack" | "email" | "pagerDuty" | "webhook";

/** An entry of spec.alerts, usable or not. */
export interface ChannelName {
  /** Identifies the entry within its object and stays the same while the entry does: the status remembers it. */
  id: string;
  /** The destination as the spec names it: unchanged when entries before it are added or removed. */
  place: string;
}

export interface Channel extends ChannelName {
  type: ChannelType;
  /** Digest of the Secret's value; "" for e-mail. */
  secret: string;
  /** Digest of the key that signs a webhook's POST; null if it is not signed. */
  signingKey: string | null;
  to: readonly string[];
  events: readonly string[] | null;
  message: string | null;
  /** Nothing is sent before this time; absent for no silence. */
  silencedUntilMs?: number;
  /** How long alerts are collected into one message; absent if each is sent separately. */
  digestMs?: number;
}

const place = /\{\{\s*([^{}]*?)\s*\}\}/g;

/** The text with its placeholders replaced. */
export function filled(message: string, facts: Readonly<Record<string, string>>): string {
  return message.replace(place, (whole, name: string) => own(facts, name) ?? whole);
}

function checkMessage(
  message: string | undefined,
  facts: readonly string[],
  path: (string | number)[],
  accepted: Problem[],
): void {
  for (const [, name = ""] of (message ?? "").matchAll(place)) {
    if (facts.includes(name)) continue;
    accepted.push(
      problem(
        "Invalid",
        `message: {{${name}}} is unknown; known placeholders are ${facts.map((fact) => `{{${fact}}}`).join(", ")}`,
        path,
      ),
    );
  }
}

type Entry = AlertsSpec[number];

const typeOf = ({ slack, email, pagerDuty }: Entry): ChannelType =>
  slack ? "slack" : email ? "email" : pagerDuty ? "pagerDuty" : "webhook";

interface SecretRef {
  name: string;
  key: string;
}

/** Digest of a Secret's value, or the problem. */
function digestOf(
  { name, key }: SecretRef,
  namespace: string,
  world: World,
  path: (string | number)[],
): string | Problem {
  const secret = own(world.secrets, `${namespace}/${name}`);
  const forbidden = unreadable(world, namespace, name, path);
  if (forbidden !== null) return forbidden;
  if (secret === undefined)
    return problem("SecretNotFound", `Secret ${name} is not in namespace ${namespace}; create it`, path);
  const fact = own(secret, key);
  if (fact === undefined) return problem("SecretKeyNotFound", `Secret ${name} has no key ${key}`, path);
  return fact.unusable === undefined
    ? fact.digest
    : problem("SecretUnusable", `Secret ${name}, key ${key}: ${fact.unusable}`, path);
}

/** Digest of the value that an entry refers to, "" for e-mail; or the problem. */
function secretOf(
  entry: Entry,
  namespace: string,
  world: World,
  mail: boolean,
  path: (string | number)[],
): string | Problem {
  const ref = (entry.slack ?? entry.pagerDuty ?? entry.webhook)?.secretRef;
  if (ref !== undefined) return digestOf(ref, namespace, world, path);
  return mail ? "" : noMail(path);
}

const minSigningKey = 16;

/** Digest of the signing key, null if there is none; or the problem. */
function signingKeyOf(
  entry: Entry,
  namespace: string,
  world: World,
  path: (string | number)[],
): string | null | Problem {
  const ref = entry.webhook?.signingKeyRef;
  if (ref === undefined) return null;
  const where = [...path, "webhook", "signingKeyRef"];
  const forbidden = unreadable(world, namespace, ref.name, where);
  if (forbidden !== null) return forbidden;
  const length = own(own(world.secrets, `${namespace}/${ref.name}`) ?? {}, ref.key)?.length ?? minSigningKey;
  if (length >= minSigningKey) return digestOf(ref, namespace, world, where);
  return problem(
    "SecretUnusable",
    `Secret ${ref.name}, key ${ref.key}: a signing key has at least ${minSigningKey} bytes, such as openssl rand -hex 32 makes`,
    where,
  );
}

const noMail = (path: (string | number)[]): Problem =>
  problem(
    "Unsupported",
    "this installation has no mail server; the platform team can name one in Helm's alerts.smtp",
    path,
  );

/** PagerDuty, by its id: it keeps an incident open until it is resolved. The other channels are only informed. */
export const hasIncidents = (id: string): boolean => id.startsWith("pagerDuty-");

const placeOf = (entry: Entry): string => {
  const { secretRef } = entry.slack ?? entry.pagerDuty ?? entry.webhook ?? {};
  return `${typeOf(entry)} ${secretRef === undefined ? (entry.email?.to ?? []).join(" ") : `${secretRef.name}/${secretRef.key}`}`;
};

/** One for each entry, in order. */
export function channelNames(entries: AlertsSpec | undefined): ChannelName[] {
  const counts = new Map<string, number>();
  const numbered = (text: string): number => {
    const number = (counts.get(text) ?? 0) + 1;
    counts.set(text, number);
    return number;
  };
  return (entries ?? []).map((entry) => {
    const place = placeOf(entry);
    return { id: `${typeOf(entry)}-${numbered(typeOf(entry))}`, place: `${place} ${numbered(place)}` };
  });
}

const minDigestMs = 60_000;
const maxDigestMs = 86_400_000;

function timingOf(
  { silencedUntil, digest }: Entry,
  path: (string | number)[],
  accepted: Problem[],
): Pick<Channel, "silencedUntilMs" | "digestMs"> {
  const digestMs = digest === undefined ? null : durationMs(digest);
  const fits = digestMs === null || (digestMs >= minDigestMs && digestMs <= maxDigestMs);
  if (!fits) accepted.push(problem("Invalid", `digest must be from 1m to 24h, not ${digest}`, path));
  return {
    ...(silencedUntil === undefined ? {} : { silencedUntilMs: Date.parse(silencedUntil) }),
    ...(digestMs === null || !fits ? {} : { digestMs }),
  };
}

export interface ChannelContext {
  namespace: string;
  world: World;
  /** Whether the installation has a mail server. */
  mail: boolean;
  /** Receive the problems of the object itself and of what it refers to. */
  accepted: Problem[];
  refs: Problem[];
}

/** `facts`: placeholders that a message may use. */
export function compileChannels(
  entries: AlertsSpec | undefined,
  facts: readonly string[],
  { namespace, world, mail, accepted, refs }: ChannelContext,
): Channel[] {
  const channels: Channel[] = [];
  const names = channelNames(entries);
  for (const [index, entry] of (entries ?? []).entries()) {
    const path = ["spec", "alerts", index];
    checkMessage(entry.message, facts, [...path, "message"], accepted);
    const type = typeOf(entry);
    const secret = secretOf(entry, namespace, world, mail, path);
    const signingKey = signingKeyOf(entry, namespace, world, path);
    if (typeof secret !== "string") refs.push(secret);
    if (typeof signingKey === "object" && signingKey !== null) refs.push(signingKey);
    else if (typeof secret === "string")
      channels.push({
        ...(names[index] as ChannelName),
        type,
        secret,
        signingKey,
        to: entry.email?.to ?? [],
        events: entry.events ?? null,
        message: entry.message ?? null,
        ...timingOf(entry, [...path, "digest"], accepted),
      });
  }
  return channels;
}
