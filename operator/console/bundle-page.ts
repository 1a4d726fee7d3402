/**
 * Bundles the page with esbuild, a development dependency: `sluice dev` does so when the page is first requested, and
 * `cli/bundle.ts` once, for the image.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

const folder = join(import.meta.dirname, "page");
const root = join(import.meta.dirname, "../..");

export type PageFiles = Readonly<Record<"index.html" | "app.js" | "app.css" | "icon.svg", string>>;

export interface BundledPage {
  files: PageFiles;
  /** Paths of the bundled files, relative to the root of the repository. */
  inputs: string[];
}

export async function bundlePage(): Promise<BundledPage> {
  const { build, stop } = await import("esbuild");
  const { outputFiles, metafile } = await build({
    entryPoints: { app: join(folder, "main.tsx"), "app-style": join(folder, "style.css") },
    outdir: folder,
    bundle: true,
    minify: true,
    write: false,
    platform: "browser",
    target: "es2023",
    format: "esm",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "none",
    charset: "utf8",
    logLevel: "silent",
    metafile: true,
    absWorkingDir: root,
  });
  await stop();
  const text = (name: string): string => outputFiles.find(({ path }) => path.endsWith(name))?.text ?? "";
  const [html, icon] = await Promise.all(
    ["index.html", "icon.svg"].map((name) => readFile(join(folder, name), "utf8")),
  );
  return {
    files: {
      "index.html": html ?? "",
      "icon.svg": icon ?? "",
      "app.js": text("app.js"),
      "app.css": text("app-style.css"),
    },
    inputs: Object.keys(metafile.inputs),
  };
}
