/**
 * Whether the imported objects fit into the configuration that one installation publishes, by the operator's own
 * limits. Thousands of policies with long chains of fallbacks can exceed them.
 */
import { assumedFacts } from "../../operator/assumed-secrets.ts";
import { compile } from "../../operator/compile/compile.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { documentBytes } from "../../proxy/config/schema.ts";
import type { Manifests } from "./manifests.ts";
import type { ReportLine } from "./report.ts";

const worldObjects = ({ objects }: Manifests, namespace: string): WorldObject[] =>
  objects.map(({ kind, name, labels, spec }) => ({
    kind,
    meta: { name, namespace, uid: "", generation: 0, createdAtMs: 0, labels },
    spec,
    status: {},
  }));

/** An object's published form is at most about as large as the object, as defaults are small. */
const mayExceed = ({ objects }: Manifests): boolean =>
  objects.reduce((bytes, { spec }) => bytes + JSON.stringify(spec).length, 0) > documentBytes / 4;

/** One line per kind with objects that don't fit. `file`: the first imported file. */
export function unfitting(manifests: Manifests, namespace: string, file: string): ReportLine[] {
  if (!mayExceed(manifests)) return [];
  const secrets = manifests.secrets.map(({ name, values }): [string, ReturnType<typeof assumedFacts>] => {
    const ref = `${namespace}/${name}`;
    return [ref, assumedFacts(ref, [...values.keys()])];
  });
  const { verdicts } = compile(
    {
      world: {
        objects: worldObjects(manifests, namespace),
        secrets: Object.fromEntries(secrets),
        namespaces: { [namespace]: {} },
      },
      settings: { proxy: renderedSettings(installation.parse({})), sharingNamespaces: "*", prices: {} },
      previous: null,
      nowMs: 0,
    },
    capabilitiesByType,
  );
  const large = verdicts.flatMap(({ kind, meta, accepted }) =>
    accepted.flatMap(({ reason, message }) => (reason === "TooLarge" ? [{ kind, name: meta.name, message }] : [])),
  );
  return [...Map.groupBy(large, ({ kind }) => kind)].map(([kind, group]): ReportLine => {
    const [first] = group;
    const note = `${group.length} of ${manifests.of(kind).length} objects of kind ${kind} don't fit into what one installation publishes, such as ${first?.name}: ${first?.message}`;
    return { file, line: 1, path: "(whole file)", outcome: "NotImported", note };
  });
}
