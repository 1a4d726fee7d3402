/** Whether a parsed value has members by name. */
export const hasMembers = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
