/** A manifest's spec → typed spec with defaults, or everything that is wrong with it, in words that say how to mend it. */
import type { z } from "zod";
import { type Kind, kinds } from "./kinds.ts";
import { violations } from "./rules.ts";
import type { ApiKeySpec } from "./types/api-key.ts";
import type { BudgetSpec } from "./types/budget.ts";
import type { LLMProviderSpec } from "./types/llm-provider.ts";
import type { RoutingPolicySpec } from "./types/routing-policy.ts";

export interface SpecOf {
  LLMProvider: LLMProviderSpec;
  RoutingPolicy: RoutingPolicySpec;
  Budget: BudgetSpec;
  ApiKey: ApiKeySpec;
}

export interface SpecProblem {
  /** Within the object, so it begins with "spec". */
  path: (string | number)[];
  message: string;
  unknownField: boolean;
}

export type ParsedSpec<K extends Kind> = { ok: true; spec: SpecOf[K] } | { ok: false; problems: SpecProblem[] };

/** Least number of single-character edits between two words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known name that was probably meant. */
export function nearest(word: string, known: readonly string[]): string | null {
  const ranked = known.map((name) => ({ name, edits: distance(word.toLowerCase(), name.toLowerCase()) })).sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best && best.edits <= Math.max(2, Math.floor(word.length / 3)) ? best.name : null;
}

/** Names of the members that the schema has at a path. */
function knownMembers(kind: Kind, path: readonly PropertyKey[]): string[] {
  let schema: unknown = kinds[kind].spec;
  for (const step of [...path, null]) {
    while (schema !== null && typeof schema === "object" && "unwrap" in schema) schema = (schema as { unwrap(): unknown }).unwrap();
    if (step === null) break;
    const shape = (schema as { shape?: Record<string, unknown> }).shape;
    schema = shape ? shape[String(step)] : (schema as { element?: unknown }).element;
  }
  return Object.keys((schema as { shape?: object } | undefined)?.shape ?? {});
}

const dotted = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, step) => (typeof step === "number" ? `${text}[${step}]` : `${text}.${String(step)}`), "spec");

function explain(kind: Kind, issue: z.core.$ZodIssue): SpecProblem[] {
  const path = ["spec", ...issue.path.map((step) => (typeof step === "number" ? step : String(step)))];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const meant = nearest(key, knownMembers(kind, issue.path));
      return {
        path: [...path, key],
        message: `unknown field ${dotted([...issue.path, key])}${meant === null ? "" : `; did you mean ${meant}?`}`,
        unknownField: true,
      };
    });
  }
  return [{ path, message: `${dotted(issue.path)}: ${issue.message}`, unknownField: false }];
}

export function parseSpec<K extends Kind>(kind: K, spec: unknown): ParsedSpec<K> {
  const parsed = kinds[kind].spec.safeParse(spec);
  if (!parsed.success) return { ok: false, problems: parsed.error.issues.flatMap((issue) => explain(kind, issue)) };
  const broken = violations(kinds[kind].spec, parsed.data);
  if (broken.length === 0) return { ok: true, spec: parsed.data as SpecOf[K] };
  return { ok: false, problems: broken.map((one) => ({ path: ["spec", ...one.path], message: `${dotted(one.path)}: ${one.message}`, unknownField: false })) };
}
