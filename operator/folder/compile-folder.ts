/** Compiles a folder as a cluster would be compiled, for `dev`, `lint`, `render` and `diff`. */

import type { BudgetConfig } from "../../proxy/config/budget.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { allowsModel } from "../../proxy/config/model-pattern.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { type Compiled, compile } from "../compile/compile.ts";
import { readableLabel } from "../compile/secret-rights.ts";
import type { Problem } from "../compile/verdict.ts";
import type { SecretRights, World } from "../compile/world.ts";
import type { CanaryBook } from "../loops/canaries/book.ts";
import { priceSources, priceTable } from "../prices/table.ts";
import {
  type Installation,
  installation,
  installedPrices,
  knowsCountries,
  renderedSettings,
} from "../settings/installation.ts";
import { type FolderWorld, type Place, readFolder } from "./read.ts";

export interface LintFinding extends Place {
  severity: "error" | "warning";
  reason: string;
  message: string;
  /** `Kind namespace/name`, or "" if no object could be read. */
  object: string;
}

export interface CompiledFolder {
  compiled: Compiled;
  folder: FolderWorld;
  /** In order of files and lines. */
  findings: LintFinding[];
}

export const byPlace = (a: Place, b: Place): number =>
  a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;

/** In order of files and lines. */
export function findingsOf(folder: FolderWorld, compiled: Compiled): LintFinding[] {
  const findings: LintFinding[] = folder.problems.map((problem) => ({
    ...problem,
    severity: "error",
    reason: "Unreadable",
    object: "",
  }));
  findings.push(
    ...folder.otherwise.map(
      (problem): LintFinding => ({ ...problem, severity: "warning", reason: "ReadOtherwise", object: "" }),
    ),
  );
  const unpriced = unpricedUnderBudgets(compiled);
  for (const verdict of compiled.verdicts) {
    const { kind, meta } = verdict;
    const locate = folder.places.get(`${kind}/${meta.namespace}/${meta.name}`);
    const add = (problem: Problem): void => {
      const place = locate?.(problem.path) ?? { file: "", line: 0, column: 0 };
      findings.push({
        ...place,
        severity: problem.severity,
        reason: problem.reason,
        message: problem.fullMessage ?? problem.message,
        object: `${kind} ${meta.namespace}/${meta.name}`,
      });
    };
    verdict.accepted.forEach(add);
    verdict.resolvedRefs.forEach(add);
    if (kind === "LLMProvider") unpriced.get(`${meta.namespace}/${meta.name}`)?.forEach(add);
  }
  return findings.sort(byPlace);
}

/** As in a cluster with this setting: a Secret needs the label. In a folder nobody writes to Secrets. */
function withRights({ world, secretLabels }: FolderWorld): World {
  const rights = [...secretLabels].map(([ref, labels]): [string, SecretRights] => [
    ref,
    { readable: labels[readableLabel] === "true", writable: true, foreign: [] },
  ]);
  return { ...world, secretRights: Object.fromEntries(rights) };
}

export interface FolderOptions {
  /** null for a first pass. */
  previous?: RenderedConfig | null;
  nowMs: number;
  /** Absent: the installation's settings are unknown, so nothing that depends on them is reported. */
  installed?: Installation | undefined;
  /** Absent: every canary is at its start. */
  canaries?: CanaryBook;
  /** Models that were found at providers. Absent: none. */
  discovered?: ReadonlyMap<string, readonly string[]>;
}

export async function compileFolder(
  paths: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  pepper: Uint8Array,
  { previous = null, nowMs, installed, canaries, discovered }: FolderOptions,
): Promise<CompiledFolder> {
  const folder = await readFolder(paths, env, pepper);
  const compiled = compile(
    {
      world: installed?.secretAccess === "Labelled" ? withRights(folder) : folder.world,
      settings: {
        proxy: renderedSettings(installed ?? installation.parse({})),
        sharingNamespaces: "*",
        prices: installedPrices(installed ?? { prices: [] }),
        ...(installed ? { pricing: installed.pricing, reportLabels: installed.reportLabels } : {}),
        ...(installed
          ? {
              knowsCountries: knowsCountries(installed),
              durableAudit: installed.durableAudit,
              knowsRoles: true,
              anonymousNamespaces: installed.anonymousNamespaces,
              pathPrefixes: installed.pathPrefixes,
              privateEndpointNamespaces: installed.privateEndpointNamespaces,
              cloudIdentities: installed.cloudIdentities,
            }
          : {}),
      },
      previous,
      ...(canaries ? { canaries: canaries.facts(folder.world.objects) } : {}),
      ...(discovered ? { discovered } : {}),
      nowMs,
      prices: priceTable(new Date(nowMs)),
      priceSources,
    },
    capabilitiesByType,
  );
  return { compiled, folder, findings: findingsOf(folder, compiled) };
}

/** Models without a known price, one line for each provider. This alone is no error. */
export function unpricedModels(compiled: Compiled): string[] {
  return compiled.config.providers.flatMap(({ id, models }) => {
    const names = Object.keys(models).filter((name) => models[name]?.price === null);
    if (names.length === 0) return [];
    return [`no price is known for ${names.join(", ")} of LLMProvider ${id}: set price or priceAs in spec.models`];
  });
}

const isHard = ({ enforcement, amountNanoUsd }: BudgetConfig): boolean =>
  enforcement === "Hard" && amountNanoUsd !== null;

/** A hard budget refuses every call to them, which surely nobody intends who offers them to callers that it covers. */
function unpricedUnderBudgets(compiled: Compiled): Map<string, Problem[]> {
  const problems = new Map<string, Problem[]>();
  for (const { id, models } of compiled.config.providers)
    for (const [index, [name, { price }]] of Object.entries(models).entries()) {
      const budget =
        price === null
          ? compiled.config.budgets.find((budget) => isHard(budget) && mayCover(budget, id, name))
          : undefined;
      if (budget === undefined) continue;
      const message = `no price is known for ${name}, so the hard Budget ${budget.id} refuses calls with it; set price or priceAs`;
      const warning: Problem = {
        reason: "PriceUnknown",
        severity: "warning",
        path: ["spec", "models", index, "name"],
        message,
      };
      problems.set(id, [...(problems.get(id) ?? []), warning]);
    }
  return problems;
}

const mayCover = ({ namespace, scope }: BudgetConfig, provider: string, model: string): boolean =>
  provider.startsWith(`${namespace}/`) &&
  (scope.providers?.includes(provider) ?? true) &&
  allowsModel(scope.models, model);

export function formatFinding(finding: LintFinding): string {
  const object = finding.object === "" ? "" : ` (${finding.object})`;
  return `${finding.file}:${finding.line}:${finding.column}: ${finding.severity} ${finding.reason}: ${finding.message}${object}`;
}
