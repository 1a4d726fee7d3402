/**
 * The conditions that GitOps tools understand without knowing Sluice's kinds: Ready, Reconciling and Stalled, by the
 * conventions of kstatus, and Warning. Pure.
 * https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
 */
import type { Problem, Verdict } from "./verdict.ts";

type Bare = Verdict["conditions"][number];

/** Reasons of Programmed=False that resolve by themselves. */
const passing: ReadonlySet<string> = new Set(["Pending", "NotPublished", "NoProxies"]);

const maxWarnings = 5;
const maxMessageLength = 1_024;
const maxWarningLength = 2_048;

/** The text, truncated if it is too long. */
export function bounded(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** `wrong`: the conditions that explain why the present form isn't served. */
function ready(programmed: Bare, wrong: Bare | undefined): Bare {
  const type = "Ready";
  if (programmed.status === "True")
    return { type, status: "True", reason: "Live", message: "every ready proxy serves the object as it is written" };
  const cause = passing.has(programmed.reason) ? undefined : wrong;
  const { reason } = programmed;
  return { type, status: "False", reason, message: bounded(cause?.message ?? programmed.message, maxMessageLength) };
}

/** Present only while True; at most one of the two is. */
function progress(programmed: Bare, wrong: Bare | undefined): Bare[] {
  if (programmed.status === "True") return [];
  const { reason } = wrong ?? programmed;
  const message = bounded((wrong ?? programmed).message, maxMessageLength);
  // An invalid object stays Stalled while its earlier form, or a part of it, is being rolled out.
  return passing.has(programmed.reason) && wrong === undefined
    ? [{ type: "Reconciling", status: "True", reason, message }]
    : [{ type: "Stalled", status: "True", reason, message }];
}

function warning(problems: readonly Problem[]): Bare[] {
  const [first] = problems;
  if (first === undefined) return [];
  const messages = [...new Set(problems.map(({ message }) => message))];
  const shown = messages.slice(0, maxWarnings).map((message) => bounded(message, maxWarningLength));
  const more = messages.length > shown.length ? [`and ${messages.length - shown.length} more`] : [];
  return [{ type: "Warning", status: "True", reason: first.reason, message: [...shown, ...more].join("; ") }];
}

/** `conditions`: Accepted and ResolvedRefs. */
export function summaryOf(verdict: Verdict, conditions: readonly Bare[], programmed: Bare): Bare[] {
  const wrong = conditions.find(({ status }) => status === "False");
  const warnings = [...verdict.accepted, ...verdict.resolvedRefs].filter(({ severity }) => severity === "warning");
  return [ready(programmed, wrong), ...progress(programmed, wrong), ...warning(warnings as Problem[])];
}
