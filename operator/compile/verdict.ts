/** The result of compiling each object. Status, `lint` and `explain` are all derived from it. */
import type { Kind } from "../../crds/kinds.ts";
import type { ObjectMeta } from "./world.ts";

/** Closed list of what can be wrong with an object: the reason of a condition, and the rule that lint names. */
const problemReasons = [
  "Invalid",
  "UnknownField",
  "SecretNotFound",
  "SecretKeyNotFound",
  "SecretUnusable",
  "SecretNotPermitted",
  "SecretForbidden",
  "OperatorForbidden",
  "SecretNotOwned",
  "WeakKey",
  "CertificateExpired",
  "SecretInObject",
  "ProviderNotFound",
  "ProviderNotReady",
  "ModelNotFound",
  "ModelsOverlap",
  "TargetNotFound",
  "RefNotPermitted",
  "SharingNotPermitted",
  "AnonymousNotPermitted",
  "PrefixNotPermitted",
  "Conflicted",
  "Unsupported",
  "NotResident",
  "OriginNotAllowed",
  "PrivateEndpointNotPermitted",
  "CloudIdentityNotPermitted",
  "UnreachableRule",
  "DuplicateKey",
  "TooLarge",
  "RoleNotFound",
  "PriceUnknown",
] as const;
export type ProblemReason = (typeof problemReasons)[number];

export interface Problem {
  reason: ProblemReason;
  /** Says what is wrong and how to fix it; never holds a secret. */
  message: string;
  /**
   * The message with names that `message` leaves out, since the owner of the object may not see what they name. Shown
   * by commands whose users see every object anyway: `sluice lint`, `sluice dev` and `sluice explain`. Never part of a
   * status.
   */
  fullMessage?: string;
  /** Path within the object, such as ["spec", "models", 0, "price"], so that lint can locate the line. */
  path: readonly (string | number)[];
  /** error: the condition turns False. warning: the condition Warning, an Event and a line of lint. */
  severity: "error" | "warning";
}

type Immutable<T> =
  T extends Map<infer K, infer V>
    ? ReadonlyMap<K, V>
    : T extends object
      ? { readonly [K in keyof T]: Immutable<T[K]> }
      : T;

/** The result for one object. Memos return the same verdict in every pass, so nothing may change it. */
export type Verdict = Immutable<VerdictDraft>;

/** A verdict that compile is still working on. */
export interface VerdictDraft {
  kind: Kind;
  meta: ObjectMeta;
  /** Whether the object is valid on its own. */
  accepted: Problem[];
  /** Whether everything it refers to exists and is granted. */
  resolvedRefs: Problem[];
  /** Set if the object could not be read, so that its references were not resolved. */
  refsUnknown?: true;
  /**
   * current: this generation is in the config. lastGood: an earlier form is. partial: this generation without
   * unresolved parts. none: nothing is.
   */
  live: "current" | "partial" | "lastGood" | "none";
  /** Set if its form could not be published, so that proxies don't have it. */
  unpublished?: true;
  /** Its entry in the config; null if it is not there. */
  entry: object | null;
  /** Status fields of this kind only, such as keyPrefix, expiresAt, models, endpoint, targets. */
  status: Record<string, unknown>;
  /** Conditions of this kind only. */
  conditions: { type: string; status: "True" | "False" | "Unknown"; reason: string; message: string }[];
  /** Reasons of the condition Healthy that alerts report by Events of their own, so the condition adds none. */
  alertedReasons?: readonly string[];
}

/** What a loop adds to the status that compile gives an object. */
export interface StatusPatch {
  verdict: Verdict;
  status?: Readonly<Record<string, unknown>>;
  conditions?: Verdict["conditions"];
}

/** The verdicts with what the loops add: if two patches set the same field, the later one wins. */
export function withPatches(verdicts: readonly Verdict[], patches: readonly StatusPatch[]): Verdict[] {
  const patched = new Map<Verdict, Verdict>();
  for (const { verdict, status = {}, conditions = [] } of patches) {
    const before = patched.get(verdict) ?? verdict;
    patched.set(verdict, {
      ...before,
      status: { ...before.status, ...status },
      conditions: [...before.conditions, ...conditions],
    });
  }
  return verdicts.map((verdict) => patched.get(verdict) ?? verdict);
}
