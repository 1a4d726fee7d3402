/** The result of compiling one object, before it becomes a verdict. */

import type { Kind } from "../../crds/kinds.ts";
import { type ParsedSpec, parseSpec, type SpecOf, type SpecProblem } from "../../crds/parse.ts";
import type { MapMemo } from "../../proxy/config/incremental.ts";
import type { Problem, ProblemReason, VerdictDraft } from "./verdict.ts";
import type { ObjectMeta, WorldObject } from "./world.ts";

/** An object whose spec is valid on its own. */
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

/** Oldest first; equal ages by namespace and name. */
export function byAge(a: { meta: ObjectMeta }, b: { meta: ObjectMeta }): number {
  return a.meta.createdAtMs - b.meta.createdAtMs || (idOf(a.meta) < idOf(b.meta) ? -1 : 1);
}

export function newVerdict(kind: Kind, meta: ObjectMeta): VerdictDraft {
  return { kind, meta, accepted: [], resolvedRefs: [], live: "none", entry: null, status: {}, conditions: [] };
}

/** Reads an own member of a record whose keys users choose, never one that every object inherits. */
export function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

export const isError = (problem: Problem): boolean => problem.severity === "error";

export const problemsOf = (problems: readonly SpecProblem[]): Problem[] =>
  problems.map((specProblem) =>
    problem(specProblem.unknownField ? "UnknownField" : "Invalid", specProblem.message, specProblem.path),
  );

/** Parses objects of a kind; objects that don't fit get their verdicts at once. */
export function parseKind<K extends Kind>(
  kind: K,
  objects: readonly WorldObject[],
  memo: MapMemo<WorldObject, ParsedSpec<K>>,
): { parsed: { object: ParsedObject<K>; verdict: VerdictDraft }[]; invalid: VerdictDraft[] } {
  const parsed: { object: ParsedObject<K>; verdict: VerdictDraft }[] = [];
  const invalid: VerdictDraft[] = [];
  const results = memo.of(objects, (object) => parseSpec(kind, object.spec ?? {}));
  for (const [index, { meta }] of objects.entries()) {
    const verdict = newVerdict(kind, meta);
    const result = results[index];
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
