/** Origins of web pages. Pure. */

/** Returns an origin as browsers write it: without its scheme's default port. */
export const browserOrigin = (origin: string): string =>
  origin.replace(/^(https:\/\/[^:]+):443$/, "$1").replace(/^(http:\/\/[^:]+):80$/, "$1");
