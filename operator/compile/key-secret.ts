/** Where a rotated key keeps its past: beside itself, in the Secret that its owner named. */

/** The key before, as long as its grace lasts. */
export const previousOf = (key: string): string => `${key}-previous`;
/** When it was rotated, as RFC 3339. */
export const rotatedAtOf = (key: string): string => `${key}-rotated-at`;
