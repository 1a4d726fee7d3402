/** The page's files by name. In the image, `cli/bundle.ts` replaces this module by one that holds the finished files. */
import type { PageFiles } from "./bundle-page.ts";

let bundled: Promise<PageFiles> | null = null;

export function pageFiles(): Promise<PageFiles> {
  bundled ??= import("./bundle-page.ts").then(async ({ bundlePage }) => (await bundlePage()).files);
  return bundled;
}
