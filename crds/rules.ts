/**
 * The CEL rules of the schemas, evaluated without an API server, so that `lint` refuses what `kubectl apply` refuses.
 * Each rule stands once, in the schema's metadata.
 */
import { Environment } from "@marcbachmann/cel-js";
import { z } from "zod";
import type { CelRule } from "./types/scalars.ts";

export interface Violation {
  path: (string | number)[];
  message: string;
}

const environment = new Environment({ unlistedVariablesAreDyn: true }).registerFunction("isURL(dyn): bool", (text: unknown) => {
  // Kubernetes' isURL takes absolute URIs and absolute paths.
  return typeof text === "string" && (text.startsWith("/") || URL.canParse(text));
});

const compiled = new Map<string, (context: { self: unknown }) => unknown>();

function holds(rule: CelRule, self: unknown): boolean {
  let evaluate = compiled.get(rule.rule);
  if (!evaluate) compiled.set(rule.rule, (evaluate = environment.parse(rule.rule)));
  return evaluate({ self }) === true;
}

/** The type behind optional, default and prefault. */
export function unwrap(type: z.ZodType): z.ZodType {
  let inner: z.ZodType = type;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) inner = inner.unwrap() as z.ZodType;
  return inner;
}

/** Rules attached to a type or to what it wraps. */
export function rulesOf(type: z.ZodType): CelRule[] {
  const inner = unwrap(type);
  const own = inner === type ? [] : (z.globalRegistry.get(type)?.cel ?? []);
  return [...(z.globalRegistry.get(inner)?.cel ?? []), ...own];
}

/** Every rule that `value`, which fits `type` otherwise, breaks. */
export function violations(type: z.ZodType, value: unknown, path: (string | number)[] = []): Violation[] {
  if (value === undefined || value === null) return [];
  const broken = rulesOf(type).filter((rule) => !holds(rule, value));
  const found: Violation[] = broken.map((rule) => ({ path, message: rule.message }));
  const inner = unwrap(type);
  if (inner instanceof z.ZodObject) {
    for (const [name, member] of Object.entries(inner.shape as Record<string, z.ZodType>)) {
      found.push(...violations(member, (value as Record<string, unknown>)[name], [...path, name]));
    }
  }
  if (inner instanceof z.ZodArray) {
    for (const [at, item] of (value as unknown[]).entries()) found.push(...violations(inner.element as z.ZodType, item, [...path, at]));
  }
  return found;
}
