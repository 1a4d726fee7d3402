/** Licences of the packages that the image ships: all known, and all compatible with Apache-2.0. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";

/** Permissive licences, by SPDX identifier. None asks for more than its text, which THIRD_PARTY_LICENSES in the image has. */
const compatible: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "ISC",
  "MIT",
  "MIT-0",
  "PSF-2.0",
  "Python-2.0",
  "Unlicense",
]);

interface Entry {
  dev?: boolean;
  license?: string;
  integrity?: string;
  hasInstallScript?: boolean;
}
const lock = JSON.parse(readFileSync(join(import.meta.dirname, "../../package-lock.json"), "utf8"));
const shipped = Object.entries(lock.packages as Record<string, Entry>).filter(
  ([path, entry]) => path !== "" && !entry.dev,
);

it("every shipped package has a compatible licence", () => {
  const others = shipped.filter(([, { license }]) => license === undefined || !compatible.has(license));
  assert.deepEqual(
    others.map(([path, { license }]) => `${path}: ${license}`),
    [],
  );
});

it("every shipped package is pinned by a digest of its content", () => {
  assert.deepEqual(
    shipped.filter(([, { integrity }]) => !integrity?.startsWith("sha512-")).map(([path]) => path),
    [],
  );
});

it("no shipped package has an install script", () => {
  assert.deepEqual(
    shipped.filter(([, entry]) => entry.hasInstallScript).map(([path]) => path),
    [],
  );
});
