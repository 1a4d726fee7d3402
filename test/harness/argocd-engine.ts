/** Applies objects with Argo CD's own engine and compares them as Argo CD does (test/tools/argocd-engine). */
import { run } from "./command.ts";
import { ensureTool } from "./tools.ts";

export type WayToCompare = "lastApplied" | "structuredMerge" | "serverSide";

export interface Synced {
  kind: string;
  namespace: string;
  name: string;
  /** Synced, SyncFailed, … */
  sync: string;
  message: string;
  differences: Partial<Record<WayToCompare, { live?: unknown; predicted?: unknown; error?: string }>>;
}

/** `compareOnly`: applies nothing. */
export async function askArgo(
  kubeconfig: string,
  request: { objects: readonly object[]; serverSideApply: boolean; compareOnly?: boolean },
): Promise<Synced[]> {
  const { code, stdout, stderr } = await run(await ensureTool("argocd-engine"), [kubeconfig], {
    input: JSON.stringify(request),
  });
  if (code !== 0) throw new Error(`argocd-engine ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Synced[];
}
