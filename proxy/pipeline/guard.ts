/** Stage: checks a request's text against the policy's patterns, which run in linear time. */

import type { Identity } from "../call/identity.ts";
import type { Received } from "../call/received.ts";
import { requiredMember } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import type { Failure } from "../failure.ts";
import { judgeTexts } from "../guard/judge.ts";
import type { Route } from "../snapshot/snapshot.ts";

/** The member that holds what the user says. A recording has no words that the patterns could be compared with. */
const promptMember = (format: WireFormat): string =>
  requiredMember[format] === "file" || requiredMember[format] === "image" ? "prompt" : requiredMember[format];

/** Whether the policy's patterns don't apply to this caller. */
export function isExempt({ config }: Route, identity: Identity): boolean {
  return !identity.anonymous && config.guard !== null && config.guard.exemptRoles.includes(identity.key.role);
}

export function denyByGuard(route: Route, { json }: Received, format: WireFormat, identity: Identity): Failure | null {
  const { config, guard } = route;
  if (guard === null || config.guard === null || isExempt(route, identity)) return null;
  return judgeTexts(json, guard, config.guard.maxPromptBytes, promptMember(format));
}
