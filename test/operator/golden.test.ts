/**
 * Whole documents: objects as a user writes them, and with them what is rendered and what their status says, in one
 * YAML each. `UPDATE_GOLDEN=1` rewrites the second half; read the diff.
 *
 *   why       what the case shows
 *   before    objects that were published earlier, where last good forms matter
 *   objects   what stands now; metadata.createdAt is a number of days, the older the smaller
 *   rendered  config without settings
 *   status    by `Kind namespace/name`, with all proxies at the revision
 */
import assert from "node:assert/strict";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, it } from "node:test";
import { parse, stringify } from "yaml";
import type { Kind } from "../../crds/kinds.ts";
import { type Compiled, compile } from "../../operator/compile/compile.ts";
import { type Condition, statusOf } from "../../operator/compile/status.ts";
import type { World, WorldObject } from "../../operator/compile/world.ts";
import { secretFact } from "../../operator/secrets.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; createdAt?: number };
  spec?: unknown;
  stringData?: Record<string, string>;
}

interface Golden {
  why: string;
  sharingNamespaces?: string[];
  before?: Manifest[];
  objects: Manifest[];
  rendered?: unknown;
  status?: unknown;
}

const dayMs = 86_400_000;
const nowMs = Date.parse("2026-11-20T12:00:00Z");
const pepper = new Uint8Array(32);

function worldOf(manifests: readonly Manifest[]): World {
  const world: World = { objects: [], namespaces: {}, secrets: {} };
  for (const { kind, metadata, spec, stringData = {} } of manifests) {
    const { name, namespace = "default", labels = {}, createdAt = 1 } = metadata;
    if (kind === "Namespace") world.namespaces[name] = labels;
    else if (kind === "Secret")
      world.secrets[`${namespace}/${name}`] = Object.fromEntries(
        Object.entries(stringData).map(([key, value]) => [key, secretFact(pepper, value)]),
      );
    else {
      world.namespaces[namespace] ??= {};
      const meta: WorldObject["meta"] = {
        name,
        namespace,
        uid: "",
        generation: 1,
        createdAtMs: Date.parse("2026-01-01T00:00:00Z") + createdAt * dayMs,
        labels,
      };
      world.objects.push({ kind: kind as Kind, meta, spec, status: {} });
    }
  }
  return world;
}

function run(golden: Golden, manifests: readonly Manifest[], previous: RenderedConfig | null): Compiled {
  const settings = { proxy: { maxBodyBytes: 10_485_760 }, sharingNamespaces: golden.sharingNamespaces ?? [] };
  return compile({ world: worldOf(manifests), settings, previous, nowMs }, capabilitiesByType);
}

/** Without what is the same everywhere: times and generations have tests of their own. */
function statusesOf(compiled: Compiled): Record<string, unknown> {
  const all = compiled.verdicts.map((verdict) => {
    const {
      conditions,
      observedGeneration: _,
      ...rest
    } = statusOf(verdict, { revision: "7f3a91c2d004", live: 3, total: 3 }, {}, nowMs);
    const warnings = [...verdict.accepted, ...verdict.resolvedRefs].filter((one) => one.severity === "warning");
    const said = {
      ...rest,
      conditions: (conditions as Condition[]).map(({ type, status, reason, message }) => ({
        type,
        status,
        reason,
        message,
      })),
      ...(warnings.length === 0 ? {} : { warnings: warnings.map(({ reason, message }) => `${reason}: ${message}`) }),
    };
    return [`${verdict.kind} ${verdict.meta.namespace}/${verdict.meta.name}`, said];
  });
  return Object.fromEntries(all) as Record<string, unknown>;
}

describe("golden", () => {
  const files = globSync("test/operator/golden/*.yaml").sort();
  it("has cases", () => assert.ok(files.length >= 5));
  for (const file of files) {
    const golden = parse(readFileSync(file, "utf8")) as Golden;
    it(`${basename(file, ".yaml")}: ${golden.why}`, () => {
      const previous = golden.before === undefined ? null : run(golden, golden.before, null).config;
      const compiled = run(golden, golden.objects, previous);
      const { settings: _, ...rendered } = compiled.config;
      const actual = JSON.parse(JSON.stringify({ rendered, status: statusesOf(compiled) })) as {
        rendered: unknown;
        status: unknown;
      };
      if (process.env["UPDATE_GOLDEN"] === "1") {
        const { why, sharingNamespaces, before, objects } = golden;
        const given = {
          why,
          ...(sharingNamespaces ? { sharingNamespaces } : {}),
          ...(before ? { before } : {}),
          objects,
        };
        writeFileSync(file, stringify({ ...given, ...actual }, { lineWidth: 0, aliasDuplicateObjects: false }));
      } else assert.deepEqual(actual, { rendered: golden.rendered, status: golden.status });
    });
  }
});
