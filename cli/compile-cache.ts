/**
 * In a checkout, each start strips types and compiles code, which takes a quarter or more of its CPU time. Node.js
 * caches the result in the checkout's node_modules, for modules imported after the call. The image's bundle has nothing
 * to strip and no folder to write to.
 */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

export function keepCompiledCode(): void {
  if (import.meta.filename.endsWith(".ts"))
    enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/sluice-code"));
}
