/** A manifest → typed spec with defaults, or all problems, with messages that say how to fix them. Pure. */
import { dotted, explainIssues, type SpecProblem, unknownField, wording } from "./explain.ts";
import { apiVersion, type Kind, kinds } from "./kinds.ts";
import { violations, withoutNulls } from "./rules.ts";
import { type Schema, structural } from "./structural.ts";
import type { ApiKeySpec } from "./types/api-key.ts";
import type { BudgetSpec } from "./types/budget.ts";
import type { LLMProviderSpec } from "./types/llm-provider.ts";
import type { RoutingPolicySpec } from "./types/routing-policy.ts";

export type { SpecProblem } from "./explain.ts";
export { nearest } from "./nearest.ts";

export interface SpecOf {
  LLMProvider: LLMProviderSpec;
  RoutingPolicy: RoutingPolicySpec;
  Budget: BudgetSpec;
  ApiKey: ApiKeySpec;
}

export type ParsedSpec<K extends Kind> = { ok: true; spec: SpecOf[K] } | { ok: false; problems: SpecProblem[] };

const schemas = new Map<Kind, Schema>();

function schemaOf(kind: Kind): Schema {
  const schema = schemas.get(kind) ?? structural(kinds[kind].spec, `${kind}.spec`);
  schemas.set(kind, schema);
  return schema;
}

export function parseSpec<K extends Kind>(kind: K, spec: unknown): ParsedSpec<K> {
  const schema = schemaOf(kind);
  const parsed = kinds[kind].spec.safeParse(withoutNulls(schema, spec), { error: wording });
  if (!parsed.success) return { ok: false, problems: explainIssues(schema, parsed.error.issues) };
  const broken = violations(schema, parsed.data, ["spec"]);
  if (broken.length === 0) return { ok: true, spec: parsed.data as SpecOf[K] };
  return {
    ok: false,
    problems: broken.map(({ path, message }) => ({
      path,
      message: `${dotted(path)}: ${message}`,
      unknownField: false,
    })),
  };
}

const topLevel = ["apiVersion", "kind", "metadata", "spec", "status"];

/** Checks a whole object of a file, including misspelt fields next to spec. Its metadata is not checked. */
export function parseObject<K extends Kind>(kind: K, object: Readonly<Record<string, unknown>>): ParsedSpec<K> {
  const problems: SpecProblem[] = Object.keys(object)
    .filter((name) => !topLevel.includes(name))
    .map((name) => unknownField([name], topLevel));
  const version = object["apiVersion"];
  if (version !== undefined && version !== apiVersion) {
    problems.push({ path: ["apiVersion"], message: `apiVersion must be ${apiVersion}`, unknownField: false });
  }
  const parsed = parseSpec(kind, object["spec"]);
  if (problems.length === 0) return parsed;
  return { ok: false, problems: [...problems, ...(parsed.ok ? [] : parsed.problems)] };
}
