/**
 * Why a connection to an upstream failed, from a closed list, for logs, metrics and status. Never the other side's own
 * text.
 */

const stalledWrite = "ESLUICEWRITE";

/** Descriptions for the operators of the gateway. */
const words = {
  dns_unknown_name: "no such host in DNS",
  dns_failed: "DNS did not answer",
  connection_refused: "the connection is refused",
  no_route: "there is no route to it",
  connect_timeout: "the connection timed out",
  tls_unknown_authority: "its certificate is signed by an unknown authority",
  tls_expired: "its certificate has expired",
  tls_not_yet_valid: "its certificate is not valid yet",
  tls_wrong_name: "its certificate is for another name",
  tls_client_certificate_refused: "it refuses the gateway's certificate",
  tls_client_certificate_missing: "it asks the gateway for a certificate",
  tls_failed: "the TLS handshake failed",
  proxy_unreachable: "the egress proxy can't be reached",
  proxy_auth_refused: "the egress proxy refuses the gateway's credentials",
  proxy_refused: "the egress proxy refuses the connection",
  proxy_no_route: "the egress proxy can't reach it",
  proxy_broke: "the egress proxy broke off",
  address_not_allowed: "the endpoint leads to an address that is not allowed",
  not_http: "its answer is not HTTP",
  connection_broke: "the connection broke",
  write_timeout: "it stopped reading the request",
  answer_timeout: "no answer in time",
} as const;

export type UpstreamCause = keyof typeof words;

/** The prefix `token_` marks failures at the service that exchanges the provider's credential for a token. */
const tokenWords = {
  token_refused: "its token service refuses the credential",
  token_failed: "its token service fails",
  token_invalid: "its token service returned no token",
  token_identity_refused: "the cloud refuses the gateway an identity",
} as const;

/** For an InferencePool, before a server is asked. */
const pickerWords = {
  picker_unreachable: "its endpoint picker can't be reached",
  picker_timeout: "its endpoint picker chose no server in time",
  picker_failed: "its endpoint picker fails",
  picker_invalid: "its endpoint picker's answer can't be used",
  picker_refused: "its endpoint picker refuses the call",
} as const;

export type AttemptCause =
  | keyof typeof pickerWords
  | UpstreamCause
  | `token_${UpstreamCause}`
  | keyof typeof tokenWords;

/** Failures of a token service after it was reached. */
export class TokenServiceError extends Error {
  override readonly name = "TokenServiceError";
  readonly reason: keyof typeof tokenWords;
  /**
   * The service's own error code, or the gateway's own description; null if there is neither. Never contains a secret.
   */
  readonly said: string | null;

  constructor(reason: keyof typeof tokenWords, message: string, said: string | null = null) {
    super(message);
    this.reason = reason;
    this.said = said;
  }
}

/** All causes, for the docs. */
export const attemptCauses: readonly string[] = [
  ...Object.keys(words),
  ...Object.keys(tokenWords),
  ...Object.keys(pickerWords),
];

export function causeInWords(cause: AttemptCause): string {
  const known: Readonly<Record<string, string>> = { ...words, ...tokenWords, ...pickerWords };
  const said = known[cause] ?? `token service: ${known[cause.replace(/^token_/, "")] ?? "it failed"}`;
  return `${said} (${cause})`;
}

const byCode: Readonly<Record<string, UpstreamCause>> = {
  ENOTFOUND: "dns_unknown_name",
  ECONNREFUSED: "connection_refused",
  EHOSTUNREACH: "no_route",
  EHOSTDOWN: "no_route",
  ENETUNREACH: "no_route",
  EADDRNOTAVAIL: "no_route",
  ESLUICECONNECT: "connect_timeout",
  UND_ERR_CONNECT_TIMEOUT: "connect_timeout",
  ESLUICENOTHTTP: "not_http",
  ESLUICEPROXYUNREACHABLE: "proxy_unreachable",
  ESLUICEPROXYAUTH: "proxy_auth_refused",
  ESLUICEPROXYREFUSED: "proxy_refused",
  ESLUICEPROXYNOROUTE: "proxy_no_route",
  ESLUICEPROXYBROKE: "proxy_broke",
  ESLUICEDESTINATION: "address_not_allowed",
  ESLUICELATE: "answer_timeout",
  [stalledWrite]: "write_timeout",
  ERR_TLS_CERT_ALTNAME_INVALID: "tls_wrong_name",
  HOSTNAME_MISMATCH: "tls_wrong_name",
  CERT_HAS_EXPIRED: "tls_expired",
  CERT_NOT_YET_VALID: "tls_not_yet_valid",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "tls_unknown_authority",
  UNABLE_TO_GET_ISSUER_CERT: "tls_unknown_authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "tls_unknown_authority",
  DEPTH_ZERO_SELF_SIGNED_CERT: "tls_unknown_authority",
  SELF_SIGNED_CERT_IN_CHAIN: "tls_unknown_authority",
  CERT_SIGNATURE_FAILURE: "tls_unknown_authority",
  CERT_UNTRUSTED: "tls_unknown_authority",
  INVALID_CA: "tls_unknown_authority",
  PATH_LENGTH_EXCEEDED: "tls_failed",
  INVALID_PURPOSE: "tls_failed",
  UNSPECIFIED: "tls_failed",
  EPROTO: "tls_failed",
};

/** OpenSSL's TLS alerts, by names without the prefix, which differs between OpenSSL versions. */
const patterns: readonly (readonly [RegExp, UpstreamCause])[] = [
  [/ALERT_CERTIFICATE_REQUIRED/, "tls_client_certificate_missing"],
  [
    /ALERT_((BAD|UNSUPPORTED)_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN)|UNKNOWN_CA|ACCESS_DENIED)/,
    "tls_client_certificate_refused",
  ],
  [/^(ERR_TLS|ERR_SSL)|CERT/, "tls_failed"],
  [/^EAI_/, "dns_failed"],
];

const inHandshake = "before secure TLS connection was established";

/**
 * `answered`: the response head has arrived, so the error cannot come from connecting. Before that, OpenSSL errors
 * belong to the handshake: with TLS 1.3, a server that refuses or requires our certificate reports it after our side
 * has finished.
 */
export function causeOf(error: unknown, answered: boolean): UpstreamCause {
  const {
    name,
    code: given,
    syscall,
    message,
  } = error as Partial<Record<"name" | "code" | "syscall" | "message", unknown>>;
  const code = String(given ?? "");
  if (name === "HTTPParserError") return "not_http";
  const cause =
    (Object.hasOwn(byCode, code) ? byCode[code] : undefined) ?? patterns.find(([pattern]) => pattern.test(code))?.[1];
  if (cause !== undefined) return answered && isOfConnecting(cause) ? "connection_broke" : cause;
  if (answered) return "connection_broke";
  if (code === "ETIMEDOUT" && syscall === "connect") return "connect_timeout";
  return String(message).includes(inHandshake) ? "tls_failed" : "connection_broke";
}

/** Returns the cause of an error thrown while fetching a token. */
export function tokenCauseOf(thrown: unknown): AttemptCause {
  return thrown instanceof TokenServiceError ? thrown.reason : `token_${causeOf(thrown, false)}`;
}

/** Whether the failure happened before any of the request was sent, as far as can be determined. */
export function isOfConnecting(cause: UpstreamCause): boolean {
  return /^(tls|dns|proxy)_/.test(cause) || cause === "connection_refused" || cause === "no_route";
}

/** Whether no server was asked, so that none has failed. */
export const isOfPicker = (cause: AttemptCause | null): boolean => cause?.startsWith("picker_") === true;

/** Whether no caller can have caused this: the request had not been sent, or a token service failed. */
export function isOfProvider(cause: AttemptCause | null): boolean {
  if (cause === null) return false;
  return (
    cause.startsWith("token_") ||
    isOfConnecting(cause as UpstreamCause) ||
    cause === "connect_timeout" ||
    cause === "address_not_allowed" ||
    cause === "picker_unreachable"
  );
}
