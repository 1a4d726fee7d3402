/** Names under which a rotated key's history is stored: next to the key, in the Secret that its owner named. */

/** The previous key, during its grace period. */
export const previousOf = (key: string): string => `${key}-previous`;
/** When it was rotated, as RFC 3339. */
export const rotatedAtOf = (key: string): string => `${key}-rotated-at`;
