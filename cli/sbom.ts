/**
 * Prints what the image ships, as CycloneDX: `sbom.ts`, or `make sbom`. npm's own `--omit=dev` also omits packages that
 * both the product and a development dependency use. So this lists everything, and then removes what the lock file
 * marks as `dev`.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Bom {
  metadata: { component: { name: string } };
  components: { "bom-ref": string }[];
  dependencies: { ref: string; dependsOn?: string[] }[];
}
interface Lock {
  name: string;
  packages: Record<string, { name?: string; version: string; dev?: boolean }>;
}

const root = join(import.meta.dirname, "..");
const lock: Lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
const shipped = new Set(
  Object.entries(lock.packages)
    .filter(([, { dev }]) => !dev)
    .map(([path, { name, version }]) => `${name ?? path.split("node_modules/").at(-1)}@${version}`),
);
const listed = execFileSync("npm", ["sbom", "--sbom-format=cyclonedx", "--package-lock-only"], {
  cwd: root,
  encoding: "utf8",
  maxBuffer: 64 * 2 ** 20,
});
const bom: Bom = JSON.parse(listed);
// npm takes the folder's name.
bom.metadata.component.name = lock.name;
bom.components = bom.components.filter((component) => shipped.has(component["bom-ref"]));
bom.dependencies = bom.dependencies
  .filter(({ ref }) => shipped.has(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((other) => shipped.has(other)) }));
process.stdout.write(`${JSON.stringify(bom, null, 2)}\n`);
