/** One ApiKey with its verdict and its record, recomputed only when an input changed. */
import { parseSpec, type SpecProblem } from "../../crds/parse.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { anyKey, type CompiledKey, compileKey, type KeyRules, type Rotation } from "./keys.ts";
import { idOf, isError, namespaceOf, newVerdict, own, type ParsedObject, problem, problemsOf } from "./outcome.ts";
import { budgetsOf, type Selecting } from "./selectors.ts";
import type { Problem, VerdictDraft } from "./verdict.ts";
import type { SecretFact, World, WorldObject } from "./world.ts";

type Secret = Readonly<Record<string, SecretFact>> | undefined;

/** A result that holds between two moments. */
export interface Span {
  fromMs: number;
  untilMs: number;
}

export const within = (nowMs: number, { fromMs, untilMs }: Span): boolean => nowMs >= fromMs && nowMs < untilMs;

export const always: Span = { fromMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY };

export function overlap(a: Span, b: Span): Span {
  if (a === always) return b;
  if (b === always) return a;
  return { fromMs: Math.max(a.fromMs, b.fromMs), untilMs: Math.min(a.untilMs, b.untilMs) };
}

/** The interval between changes that contains `nowMs`. */
function sideOf(atMs: number | null, nowMs: number): Span {
  if (atMs === null) return always;
  return nowMs < atMs ? { ...always, untilMs: atMs } : { ...always, fromMs: atMs };
}

/** The result of compiling an ApiKey by itself, regardless of other objects. */
interface OwnResult {
  compiled: CompiledKey;
  secret: Secret;
  rules: KeyRules;
  holds: Span;
  fits: boolean;
}

/** The inputs of an ApiKey's result outside the object. */
export interface KeyDependencies {
  /** Id of an older key with the same digest. */
  owner: string | undefined;
  /** The problem with its role; null if there is none. */
  role: Problem | null;
  /** Models that it names and nothing serves, by their index in spec.models. */
  unserved: readonly number[];
  /** The last good form that replaces it. */
  last: KeyRecord | undefined;
  /** Budgets of its namespace that select by labels. */
  selecting: readonly Selecting[];
}

export interface KeyOutcome {
  verdict: VerdictDraft;
  /** null if it isn't live. */
  record: KeyRecord | null;
  holds: Span;
}

const iso = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");

function noteExpiry(verdict: VerdictDraft, expiresAtMs: number, nowMs: number): void {
  const over = nowMs >= expiresAtMs;
  const expiry = iso(expiresAtMs);
  verdict.status["expiresAt"] = expiry;
  verdict.conditions.push({
    type: "Expired",
    status: over ? "True" : "False",
    reason: over ? "Expired" : "NotExpired",
    message: `${over ? "expired" : "expires"} at ${expiry}`,
  });
}

function noteRotation(
  verdict: VerdictDraft,
  { rotatedAtMs, nextAtMs, previous }: Rotation,
  refusal: string | null,
): void {
  if (refusal !== null) {
    verdict.conditions.push({ type: "Rotated", status: "False", reason: "SecretNotOwned", message: refusal });
    return;
  }
  if (nextAtMs !== null) verdict.status["nextRotationAt"] = iso(nextAtMs);
  if (rotatedAtMs === null) return;
  verdict.status["rotatedAt"] = iso(rotatedAtMs);
  if (previous !== null) verdict.status["previousExpiresAt"] = iso(previous.untilMs);
  const message = `rotated at ${iso(rotatedAtMs)}; ${previous === null ? "the key before is refused" : `the key before is accepted until ${iso(previous.untilMs)}`}`;
  verdict.conditions.push({
    type: "Rotated",
    status: "True",
    reason: previous === null ? "Rotated" : "InGrace",
    message,
  });
}

/** The last good form of a key, with what its owner has withdrawn since: a revocation, an earlier expiry. */
function tightened(last: KeyRecord, revoked: boolean, expiresAtMs: number | null): KeyRecord {
  const ends = [last.expiresAtMs, expiresAtMs].filter((end) => end !== null);
  return { ...last, revoked: last.revoked || revoked, expiresAtMs: ends.length === 0 ? null : Math.min(...ends) };
}

function selected(
  record: KeyRecord,
  labels: Readonly<Record<string, string>>,
  selecting: readonly Selecting[],
): KeyRecord {
  const budgets = budgetsOf(labels, selecting);
  if (budgets.length > 0) return { ...record, budgets };
  const { budgets: none, ...rest } = record;
  return none === undefined ? record : rest;
}

/** `owner`: id of the older key. A key of another namespace is named only to those who see every object. */
function duplicateKey(owner: string, namespace: string): Problem {
  const says = (older: string): string => `${older} is older and has the same key; give this one a key of its own`;
  const full = says(`ApiKey ${owner}`);
  const path = ["spec", "writeTo"];
  if (namespaceOf(owner) === namespace) return problem("DuplicateKey", full, path);
  return { ...problem("DuplicateKey", says("an ApiKey of another namespace"), path), fullMessage: full };
}

/** All digests that a record is found by, each once. */
export const digestsOf = ({ digest, foreign }: KeyRecord): readonly string[] =>
  foreign === undefined ? [digest] : [...new Set([digest, ...foreign])];

const sameDependencies = (a: KeyDependencies, b: KeyDependencies): boolean =>
  a.owner === b.owner &&
  a.role?.message === b.role?.message &&
  a.last === b.last &&
  a.selecting === b.selecting &&
  a.unserved.length === b.unserved.length &&
  a.unserved.every((model, place) => model === b.unserved[place]);

export class KeyEntry {
  readonly id: string;
  readonly object: WorldObject;
  /** null if the spec is not valid on its own. */
  readonly key: ParsedObject<"ApiKey"> | null;
  /** Why the spec is not valid; empty if it is. */
  readonly #problems: readonly SpecProblem[];
  readonly #secretRef: string;
  #ownResult: OwnResult | null = null;
  #outcome: (KeyOutcome & { ownResult: OwnResult | null; dependencies: KeyDependencies }) | null = null;

  constructor(object: WorldObject) {
    this.object = object;
    this.id = idOf(object.meta);
    const parsed = parseSpec("ApiKey", object.spec ?? {});
    this.key = parsed.ok ? { kind: "ApiKey", meta: object.meta, id: this.id, spec: parsed.spec } : null;
    this.#problems = parsed.ok ? [] : parsed.problems;
    const writeTo = parsed.ok ? parsed.spec.writeTo : undefined;
    this.#secretRef = writeTo === undefined ? "" : `${object.meta.namespace}/${writeTo.name}`;
  }

  /** Digests of the value in its Secret, and of keys of another gateway. */
  get digests(): readonly string[] {
    const record = this.#ownResult?.compiled.record;
    return record === null || record === undefined ? [] : digestsOf(record);
  }

  /** Whether nothing of its own keeps it from being live. */
  get fits(): boolean {
    return this.#ownResult?.fits ?? false;
  }

  /** Whether its Secret has changed since it was compiled. */
  hasOtherSecret(world: World): boolean {
    return this.#ownResult !== null && this.#ownResult.secret !== own(world.secrets, this.#secretRef);
  }

  /** Compiles it on its own. */
  look(world: World, nowMs: number, rules: KeyRules = anyKey): void {
    const { key } = this;
    if (key === null) return;
    const before = this.#ownResult;
    const secret = own(world.secrets, this.#secretRef);
    if (before !== null && before.secret === secret && before.rules === rules && within(nowMs, before.holds)) return;
    const compiled = compileKey(key, world, nowMs, rules);
    const fits = compiled.record !== null && ![...compiled.accepted, ...compiled.resolvedRefs].some(isError);
    this.#ownResult = { compiled, secret, rules, holds: sideOf(compiled.rotation.graceEndsMs, nowMs), fits };
  }

  /** Result of the last call of `settle`; null before the first. */
  get outcome(): KeyOutcome | null {
    return this.#outcome;
  }

  /** Its result among the others. Call it after `look`. */
  settle(dependencies: KeyDependencies, nowMs: number): KeyOutcome {
    const before = this.#outcome;
    if (
      before !== null &&
      before.ownResult === this.#ownResult &&
      within(nowMs, before.holds) &&
      sameDependencies(before.dependencies, dependencies)
    )
      return before;
    this.#outcome = { ...this.#make(dependencies, nowMs), ownResult: this.#ownResult, dependencies };
    return this.#outcome;
  }

  #make(dependencies: KeyDependencies, nowMs: number): KeyOutcome {
    const ownResult = this.#ownResult;
    const verdict = newVerdict("ApiKey", this.object.meta);
    if (this.key === null) {
      verdict.accepted = problemsOf(this.#problems);
      verdict.refsUnknown = true;
    }
    const record = this.#record(verdict, ownResult, dependencies);
    const live = record === null ? null : selected(record, this.object.meta.labels, dependencies.selecting);
    verdict.entry = live;
    const endMs = (live === null ? ownResult?.compiled.expiresAtMs : live.expiresAtMs) ?? null;
    if (endMs !== null) noteExpiry(verdict, endMs, nowMs);
    return { verdict, record: live, holds: overlap(sideOf(endMs, nowMs), ownResult?.holds ?? always) };
  }

  /** Records in its verdict which form is live. */
  #record(verdict: VerdictDraft, ownResult: OwnResult | null, dependencies: KeyDependencies): KeyRecord | null {
    const { owner, role, last } = dependencies;
    if (ownResult !== null) this.#addProblems(verdict, ownResult, dependencies);
    if (ownResult?.fits && owner === undefined) {
      const { displayPrefix, rotation, rotationRefusal, record } = ownResult.compiled;
      if (displayPrefix !== "") verdict.status["keyPrefix"] = displayPrefix;
      if (record?.foreign !== undefined) verdict.status["foreignKeys"] = record.foreign.length;
      noteRotation(verdict, rotation, rotationRefusal);
      // A key of an unknown role goes live all the same, so that its holder gets an error that explains it; no call
      // succeeds.
      verdict.live = role === null ? "current" : "partial";
      return record;
    }
    if (last === undefined || ownResult?.compiled.isWeak) return null;
    verdict.live = "lastGood";
    return tightened(last, this.#revoked(), ownResult?.compiled.expiresAtMs ?? null);
  }

  #addProblems(verdict: VerdictDraft, { compiled }: OwnResult, { owner, role, unserved }: KeyDependencies): void {
    const { namespace } = this.object.meta;
    const models = this.key?.spec.models ?? [];
    verdict.accepted = [
      ...compiled.accepted,
      ...(owner === undefined ? [] : [duplicateKey(owner, namespace)]),
      ...unserved.map((model) =>
        problem(
          "ModelNotFound",
          `no RoutingPolicy serves ${models[model]} to namespace ${namespace}`,
          ["spec", "models", model],
          "warning",
        ),
      ),
    ];
    verdict.resolvedRefs = [...compiled.resolvedRefs, ...(role === null ? [] : [role])];
  }

  /** A revocation is read even from an otherwise invalid spec: a typo must not keep a stolen key alive. */
  #revoked(): boolean {
    return (this.object.spec as { revoked?: unknown } | null | undefined)?.revoked === true;
  }
}
