/** What happens where a real part can neither be found nor installed: CI fails, a laptop skips and says so. */

export class MissingTool extends Error {
  readonly tool: string;

  constructor(tool: string, reason: string, options?: ErrorOptions) {
    super(`${tool} is missing: ${reason}`, options);
    this.name = "MissingTool";
    this.tool = tool;
  }
}

/** CI exists to run everything, so there a missing part is a failure and not a skip. */
export function inCi(env: NodeJS.ProcessEnv = process.env): boolean {
  const ci = env["CI"];
  return ci !== undefined && ci !== "" && ci !== "0" && ci !== "false";
}

/** For a whole file: `describe("…", { skip: await skipReason(() => ensureTool("etcd")) }, …)`. */
export async function skipReason(...ensures: (() => Promise<unknown>)[]): Promise<string | false> {
  for (const ensure of ensures) {
    try {
      await ensure();
    } catch (error) {
      return skippable(error);
    }
  }
  return false;
}

function skippable(error: unknown): string {
  if (!(error instanceof MissingTool) || inCi()) throw error;
  process.stderr.write(`\n*** SKIPPED, and not tested: ${error.message}\n\n`);
  return error.message;
}
