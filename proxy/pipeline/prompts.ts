/** The prompts that a policy adds to a chat. */
import type { Identity } from "../call/identity.ts";
import type { ChatMessage } from "../dialects/canonical.ts";
import type { Route } from "../snapshot/snapshot.ts";

/** The route's rendered prompts: those before the caller's messages and those after them. */
export interface Prompts {
  before: ChatMessage[];
  behind: ChatMessage[];
}

function promptMessages(
  route: Route,
  position: "Prepend" | "Append",
  variables: Readonly<Record<string, string>>,
): ChatMessage[] {
  return route.config.request.prompts
    .filter((prompt) => prompt.position === position)
    .map((prompt) => ({ role: prompt.role as ChatMessage["role"], content: fillIn(prompt.content, variables) }));
}

export function promptsOf(route: Route, identity: Identity, model: string | null, nowMs: number): Prompts {
  const variables = variablesOf(identity, model, nowMs);
  return { before: promptMessages(route, "Prepend", variables), behind: promptMessages(route, "Append", variables) };
}

export const withPrompts = ({ before, behind }: Prompts, messages: readonly ChatMessage[]): ChatMessage[] => [
  ...before,
  ...messages,
  ...behind,
];

function fillIn(template: string, variables: Readonly<Record<string, string>>): string {
  return template.replace(/\{\{ *([a-z]+) *\}\}/g, (whole, name: string) =>
    Object.hasOwn(variables, name) ? (variables[name] ?? "") : whole,
  );
}

function variablesOf(identity: Identity, model: string | null, nowMs: number): Record<string, string> {
  const key = identity.anonymous ? null : identity.key;
  return {
    user: key?.user ?? "",
    team: key?.team ?? "",
    role: key?.role ?? "",
    model: model ?? "",
    date: new Date(nowMs).toISOString().slice(0, 10),
  };
}
