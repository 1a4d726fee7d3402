/** What compiling one object comes to, before it is turned into a verdict. */

import type { Kind } from "../../crds/kinds.ts";
import { type ParsedSpec, parseSpec, type SpecOf, type SpecProblem } from "../../crds/parse.ts";
import type { MapMemo } from "../../proxy/config/incremental.ts";
import type { Problem, ProblemReason, VerdictDraft } from "./verdict.ts";
import type { ObjectMeta, WorldObject } from "./world.ts";

/** An object whose spec is valid by itself. */
export interface ParsedObject<K extends Kind> {
  kind: K;
  meta: ObjectMeta;
  id: string;
  spec: SpecOf[K];
}

export const idOf = (meta: ObjectMeta): string => `${meta.namespace}/${meta.name}`;
export const namespaceOf = (id: string): string => id.slice(0, id.indexOf("/"));

export function problem(
  reason: ProblemReason,
  message: string,
  path: (string | number)[] = ["spec"],
  severity: Problem["severity"] = "error",
): Problem {
  return { reason, message, path, severity };
}

/** The oldest first; where ages are equal, by namespace and name. */
export function byAge(a: { meta: ObjectMeta }, b: { meta: ObjectMeta }): number {
  return a.meta.createdAtMs - b.meta.createdAtMs || (idOf(a.meta) < idOf(b.meta) ? -1 : 1);
}

export function newVerdict(kind: Kind, meta: ObjectMeta): VerdictDraft {
  return { kind, meta, accepted: [], resolvedRefs: [], live: "none", entry: null, status: {}, conditions: [] };
}

/** A member of a record whose keys users choose: what every object inherits is not in it. */
export function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

export const isError = (one: Problem): boolean => one.severity === "error";

export const problemsOf = (problems: readonly SpecProblem[]): Problem[] =>
  problems.map((one) => problem(one.unknownField ? "UnknownField" : "Invalid", one.message, one.path));

/** Parses objects of a kind; what doesn't fit gets its verdict at once. */
export function parseKind<K extends Kind>(
  kind: K,
  objects: readonly WorldObject[],
  memo: MapMemo<WorldObject, ParsedSpec<K>>,
): { parsed: { object: ParsedObject<K>; verdict: VerdictDraft }[]; invalid: VerdictDraft[] } {
  const parsed: { object: ParsedObject<K>; verdict: VerdictDraft }[] = [];
  const invalid: VerdictDraft[] = [];
  const results = memo.of(objects, (object) => parseSpec(kind, object.spec ?? {}));
  for (const [at, { meta }] of objects.entries()) {
    const verdict = newVerdict(kind, meta);
    const result = results[at];
    if (result?.ok) parsed.push({ object: { kind, meta, id: idOf(meta), spec: result.spec }, verdict });
    else {
      verdict.accepted = problemsOf(result?.problems ?? []);
      verdict.refsUnknown = true;
      invalid.push(verdict);
    }
  }
  parsed.sort((a, b) => byAge(a.object, b.object));
  return { parsed, invalid };
}
