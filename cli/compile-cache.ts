/**
 * In a checkout types are stripped and code is compiled at each start, which takes a quarter of its CPU time or more. Node.js keeps the
 * result in the checkout's own node_modules. Only what is imported after the call is kept. The bundle of the image has
 * nothing to strip and no folder to write to.
 */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

export function keepCompiledCode(): void {
  if (import.meta.filename.endsWith(".ts"))
    enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/sluice-code"));
}
