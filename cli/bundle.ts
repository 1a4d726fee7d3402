/**
 * Bundles the command line for the image: `bundle.ts OUT`. One folder has the code of every command, each loaded when
 * it is used, and the licences of the bundled packages. Bundled code starts in a third of the CPU time, because no
 * imports are resolved and no types stripped at startup, and needs no node_modules. Names are kept and lines are short, so
 * that stack traces and profiles are readable. esbuild is a development dependency and is not in the image.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type Metafile, type Plugin } from "esbuild";
import { type BundledPage, bundlePage } from "../operator/console/bundle-page.ts";

const root = join(import.meta.dirname, "..");

/** CommonJS packages call `require`, which ES modules don't have. */
const requireInModules = [
  'import { createRequire as createRequireOfBundle } from "node:module";',
  "const require = createRequireOfBundle(import.meta.url);",
].join("\n");

/** Puts the console's finished page in place of the module that bundles it. */
const withPage = ({ files }: BundledPage): Plugin => ({
  name: "console-page",
  setup(into) {
    into.onLoad({ filter: /operator\/console\/page-files\.ts$/ }, () => ({
      contents: `const files = ${JSON.stringify(files)};\nexport const pageFiles = () => Promise.resolve(files);`,
    }));
  },
});

async function bundle(out: string, page: BundledPage): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints: { main: join(root, "cli/main.ts"), "text-worker": join(root, "proxy/text-work/worker.ts") },
    outdir: out,
    bundle: true,
    splitting: true,
    platform: "node",
    target: "node24",
    format: "esm",
    outExtension: { ".js": ".mjs" },
    plugins: [withPage(page)],
    banner: { js: requireInModules },
    legalComments: "none",
    // V8 keeps the source of loaded modules. Comments and indentation would be a third of it, and a single non-ASCII
    // character makes every character take two bytes.
    minifyWhitespace: true,
    lineLimit: 160,
    charset: "ascii",
    logLevel: "warning",
    metafile: true,
    absWorkingDir: root,
  });
  return metafile;
}

/** Folders of the bundled packages, such as node_modules/@kubernetes/client-node. */
function packagesOf(inputs: readonly string[]): string[] {
  const folder = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/;
  return [...new Set(inputs.flatMap((input) => folder.exec(input)?.[0] ?? []))].sort();
}

async function licenceText(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(root, folder, "package.json"), "utf8"));
  const files = (await readdir(join(root, folder))).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(root, folder, file), "utf8")));
  return [`${name} ${version}, ${license}`, ...texts].join("\n\n");
}

const out = process.argv[2];
if (out === undefined) throw new Error("say where the bundle goes: bundle.ts OUT");
const page = await bundlePage();
const { inputs } = await bundle(out, page);
const packages = packagesOf([...Object.keys(inputs), ...page.inputs]);
// The image has no /usr/bin/env.
const entry = join(out, "main.mjs");
await writeFile(entry, (await readFile(entry, "utf8")).replace(/^#!.*/, "#!/usr/local/bin/node"));
const licences = await Promise.all(packages.map(licenceText));
await writeFile(join(out, "THIRD_PARTY_LICENSES"), `${licences.join("\n\n---\n\n")}\n`);
process.stdout.write(`${out}: ${packages.length} packages\n`);
