/** Origins of pages. Pure. */

/** An origin as browsers write it: without the port that its scheme has by itself. */
export const browserOrigin = (origin: string): string =>
  origin.replace(/^(https:\/\/[^:]+):443$/, "$1").replace(/^(http:\/\/[^:]+):80$/, "$1");
