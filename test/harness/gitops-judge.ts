/** What GitOps tools say of objects, by the libraries that they judge with (test/tools/gitops-judge). */
import { run } from "./command.ts";
import { ensureTool } from "./tools.ts";

export type Question =
  | { judge: "kstatus"; object: object }
  | { judge: "argo"; object: object; script: string }
  | { judge: "flux"; object: object; expressions: { current: string; failed?: string; inProgress?: string } };

export interface Answer {
  status?: string;
  message?: string;
  /** What an Argo CD script returned. */
  result?: unknown;
  error?: string;
}

export async function judge(questions: readonly Question[]): Promise<Answer[]> {
  const { code, stdout, stderr } = await run(await ensureTool("gitops-judge"), [], {
    input: JSON.stringify(questions),
  });
  if (code !== 0) throw new Error(`gitops-judge ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Answer[];
}
