import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";

/** Folders that each implement the same parts: a name that several of them export means the same in each. */
const siblings = /^proxy\/(?:providers|dialects)\/[^/]+\//;

function exportsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const declared = text.matchAll(
    /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type|enum) ([\w$]+)/gm,
  );
  // A schema and its type share a name.
  return [...new Set([...declared].map(([, name]) => name ?? ""))];
}

describe("names", () => {
  const places = new Map<string, string[]>();
  for (const file of globSync("{crds,operator,proxy,cli}/**/*.ts"))
    for (const name of exportsOf(file)) places.set(name, [...(places.get(name) ?? []), file]);

  it("reads every file's exports", () => assert.ok(places.size > 1000));

  it("an exported name means one thing", () => {
    const clashes = [...places].filter(([, files]) => {
      const folders = files.map((file) => siblings.exec(file)?.[0] ?? "");
      return files.length > 1 && (folders.includes("") || new Set(folders).size < folders.length);
    });
    assert.deepEqual(Object.fromEntries(clashes), {});
  });
});
