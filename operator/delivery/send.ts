/** Sends one alert to one channel. Errors are reported without any secret: a webhook's URL is one. */
import { createHmac } from "node:crypto";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import { createTransport } from "nodemailer";
import { addressAllowed, guardedLookup } from "../../proxy/config/destination.ts";
import { tunnelAgent } from "../../proxy/config/egress/agents.ts";
import { directEgress, type Egress } from "../../proxy/config/egress/egress.ts";
import type { Channel } from "../compile/alerts.ts";
import { type Alert, mailOf, pagerDutyBody, slackBody, webhookBody } from "./message.ts";

export interface Smtp {
  host: string;
  port: number;
  /** TLS: from the first byte. StartTLS: required. None: unencrypted. */
  security: "TLS" | "StartTLS" | "None";
  from: string;
  /** null: without login. */
  auth: { user: string; pass: string } | null;
}

export interface Senders {
  /** null: there is no mail server. */
  smtp: Smtp | null;
  pagerDutyURL: string;
  /** Clear value of a Secret by its digest; null if it is gone. */
  secret(digest: string): string | null;
  /** Whether URLs may lead to private addresses. */
  allowPrivate: boolean;
  /** Default: no egress proxy. */
  egress?: Egress;
  nowMs(): number;
  /** Time limit for a whole mail; default: 20 s. */
  mailTimeoutMs?: number;
}

/**
 * done: delivered, except to addresses that the mail server refused. retry: may succeed later. never: can't succeed.
 * `why` is for the operator's log.
 */
export type Sent =
  | { outcome: "done"; refused?: readonly string[] }
  | { outcome: "retry"; why: string; afterMs: number | null }
  | { outcome: "never"; why: string };

/** Reasons that follow from the object and the installation alone, not from any response of the network. */
const advice = {
  notUrl: "the Secret's value is not a URL",
  notHttp: "the Secret's value is not an http or https URL",
  notCallable: "the Secret's value is not a URL that can be called",
  noSecret: "its Secret does not exist",
  noSigningKey: "the Secret of its signing key does not exist",
  noMail: "there is no mail server",
} as const;
const advices: ReadonlySet<string> = new Set(Object.values(advice));

/**
 * The text about a failure for the owner of an object. A server's answer, or the lack of one, goes only to the
 * operator's log: otherwise the owner, who chooses the address, could scan the operator's network.
 */
export function adviceOf(sent: Sent): string {
  if (sent.outcome === "done") return "";
  return advices.has(sent.why) ? sent.why : "not sent; the operator's log says why";
}

const timeoutMs = 10_000;
/**
 * A mail takes several round trips, each with its own timeout; a server that draws them out must not delay the
 * operator's shutdown.
 */
const defaultMailTimeoutMs = 20_000;
const maxRetryAfterMs = 3_600_000;

function retryAfter(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - nowMs;
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, maxRetryAfterMs) : null;
}

function judge(status: number, after: string | undefined, nowMs: number): Sent {
  if (status >= 200 && status < 300) return { outcome: "done" };
  const why = `it answered ${status}`;
  if (status === 429 || status === 408 || status >= 500)
    return { outcome: "retry", why, afterMs: retryAfter(after, nowMs) };
  return { outcome: "never", why };
}

function parsedUrl(text: string, allowPrivate: boolean): URL | string {
  if (!URL.canParse(text)) return advice.notUrl;
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return advice.notHttp;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !addressAllowed(host, allowPrivate)) return "the URL leads to an address that is not allowed";
  return url;
}

/**
 * Headers that authenticate a POST and its time: HMAC-SHA-256 in hex of the seconds since 1970, a dot, and the body.
 * The signed time prevents replays.
 */
export function signature(key: string, bytes: string, nowMs: number): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000));
  return {
    "x-sluice-timestamp": timestamp,
    "x-sluice-signature": `sha256=${createHmac("sha256", key).update(`${timestamp}.${bytes}`).digest("hex")}`,
  };
}

/** Redirects are not followed: they could lead to addresses that the URL may not. */
function post(
  text: string,
  body: object,
  { allowPrivate, egress = directEgress, nowMs }: Pick<Senders, "allowPrivate" | "egress" | "nowMs">,
  sign: (bytes: string) => Record<string, string> = () => ({}),
): Promise<Sent> {
  const url = parsedUrl(text.trim(), allowPrivate);
  if (typeof url === "string") return Promise.resolve({ outcome: "never", why: url });
  const bytes = JSON.stringify(body);
  const request = url.protocol === "https:" ? httpsRequest : httpRequest;
  const agent = tunnelAgent(egress, url, allowPrivate);
  return new Promise<Sent>((resolve) => {
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(bytes),
      "user-agent": "sluice-alerts",
      ...sign(bytes),
    };
    const call = request(
      url,
      {
        method: "POST",
        headers,
        ...(agent === null ? { lookup: guardedLookup(allowPrivate) as never } : { agent }),
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        // The response head is enough: a receiver that has accepted the alert must not get it again because its body
        // hangs.
        resolve(judge(response.statusCode ?? 0, response.headers["retry-after"], nowMs()));
        response.on("error", () => undefined);
        response.destroy();
      },
    );
    call.on("error", (cause: { code?: string; name?: string }) => {
      const refused = cause.code === "ESLUICEDESTINATION";
      if (refused) resolve({ outcome: "never", why: "the URL leads to an address that is not allowed" });
      else
        resolve({
          outcome: "retry",
          why:
            cause.name === "AbortError" || cause.name === "TimeoutError"
              ? "it did not answer in time"
              : `no connection (${cause.code ?? "unknown"})`,
          afterMs: null,
        });
    });
    call.end(bytes);
    // A text may parse as a URL that can't be called, for example with a broken escape in its host.
  }).catch((): Sent => ({ outcome: "never", why: advice.notCallable }));
}

/** The server accepted it for at least one recipient; otherwise sending throws. */
function arrived({ rejected }: { rejected?: readonly (string | { address: string })[] }): Sent {
  const refused = (rejected ?? []).map((to) => (typeof to === "string" ? to : to.address));
  return refused.length === 0 ? { outcome: "done" } : { outcome: "done", refused };
}

async function mail(alert: Alert, channel: Channel, smtp: Smtp, patienceMs: number): Promise<Sent> {
  const transport = createTransport({
    host: smtp.host,
    port: smtp.port,
    secure: smtp.security === "TLS",
    requireTLS: smtp.security === "StartTLS",
    ignoreTLS: smtp.security === "None",
    ...(smtp.auth === null ? {} : { auth: smtp.auth }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  });
  const overdue = Promise.withResolvers<Sent>();
  const timer = setTimeout(
    () => overdue.resolve({ outcome: "retry", why: "the mail server did not finish in time", afterMs: null }),
    patienceMs,
  );
  try {
    const sent = transport.sendMail({
      from: smtp.from,
      to: [...channel.to],
      ...mailOf(alert, channel),
      // RFC 3834: keeps auto-responders from answering it.
      headers: { "Auto-Submitted": "auto-generated" },
      messageId: `<${Buffer.from(`${alert.key}|${channel.id}`).toString("base64url")}@sluice>`,
    });
    return await Promise.race([sent.then(arrived), overdue.promise]);
  } catch (cause) {
    const { responseCode, code } = cause as { responseCode?: number; code?: string };
    const why =
      responseCode === undefined
        ? `the mail server can't be used (${code ?? "unknown"})`
        : `the mail server answered ${responseCode}`;
    return responseCode !== undefined && responseCode >= 500
      ? { outcome: "never", why }
      : { outcome: "retry", why, afterMs: null };
  } finally {
    clearTimeout(timer);
    transport.close();
  }
}

function postWebhook(alert: Alert, channel: Channel, url: string, senders: Senders): Promise<Sent> {
  if (channel.signingKey === null) return post(url, webhookBody(alert, channel), senders);
  const key = senders.secret(channel.signingKey);
  if (key === null) return Promise.resolve({ outcome: "retry", why: advice.noSigningKey, afterMs: null });
  return post(url, webhookBody(alert, channel), senders, (bytes) => signature(key, bytes, senders.nowMs()));
}

export async function send(alert: Alert, channel: Channel, senders: Senders): Promise<Sent> {
  if (channel.type === "email")
    return senders.smtp === null
      ? { outcome: "never", why: advice.noMail }
      : mail(alert, channel, senders.smtp, senders.mailTimeoutMs ?? defaultMailTimeoutMs);
  const secret = senders.secret(channel.secret);
  if (secret === null) return { outcome: "retry", why: advice.noSecret, afterMs: null };
  if (channel.type === "slack") return post(secret, slackBody(alert, channel), senders);
  if (channel.type === "webhook") return postWebhook(alert, channel, secret, senders);
  // Its URL is set by the installation, so it may lead anywhere.
  return post(senders.pagerDutyURL, pagerDutyBody(alert, channel, secret.trim()), { ...senders, allowPrivate: true });
}
