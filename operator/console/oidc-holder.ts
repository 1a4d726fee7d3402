/** The user and groups of an ID token, with prefixes as the API server's own OIDC login adds them. */
import type { JWTPayload } from "jose";
import type { ConsoleOidc } from "../settings/console.ts";

export interface OidcHolder {
  user: string;
  groups: string[];
}

/** Why someone who logged in at the issuer is refused: a code for which the page has a message. */
export class HolderRefused extends Error {
  override readonly name = "HolderRefused";
  readonly code: "no_user" | "unverified";

  constructor(code: HolderRefused["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** Names that only Kubernetes itself may assign, such as system:masters. */
const reserved = /^system:/;
const maxNameLength = 256;

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** Looks for the whole name first, as names that are URLs contain dots; else follows it as a path. */
const claimAt = (payload: JWTPayload, path: string): unknown =>
  member(payload, path) ?? path.split(".").reduce<unknown>(member, payload);

const isName = (value: unknown): value is string =>
  typeof value === "string" && value !== "" && value.length <= maxNameLength && !/[\p{C}\p{Zl}\p{Zp}]/u.test(value);

export function holderOf(payload: JWTPayload, settings: ConsoleOidc, userClaim: string): OidcHolder {
  const claim = settings.userClaim || userClaim;
  const name = claimAt(payload, claim);
  if (!isName(name)) throw new HolderRefused("no_user", `the ID token has no claim ${claim} that names a user`);
  if (claim === "email" && String(payload["email_verified"]).toLowerCase() === "false")
    throw new HolderRefused("unverified", "the issuer has not verified the address (email_verified is false)");
  const user = `${settings.userPrefix}${name.normalize("NFC")}`;
  if (reserved.test(user)) throw new HolderRefused("no_user", `claim ${claim} names a user of Kubernetes itself`);
  const claimed = settings.groupsClaim === "" ? [] : claimAt(payload, settings.groupsClaim);
  const groups = (Array.isArray(claimed) ? claimed : [claimed])
    .filter(isName)
    .filter((group) => settings.groups.length === 0 || settings.groups.includes(group))
    .map((group) => `${settings.groupsPrefix}${group.normalize("NFC")}`)
    .filter((group) => !reserved.test(group));
  return { user, groups: [...new Set(groups)].sort() };
}
