/** Targets in order of priority, every one always permitted. */
import type { Permit, Routing } from "./routing.ts";

const permit: Permit = { succeeded: () => undefined, failed: () => undefined, released: () => undefined };

export const priorityRouting: Routing = {
  plan: (request) => [...request.targets].sort((a, b) => a.config.priority - b.config.priority),
  acquire: () => permit,
  mayRetry: () => true,
};
