/** Positions of a YAML document's members in its text. */
import { type Document, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from "yaml";

interface Below {
  offset: number | undefined;
  node: unknown;
}

/** Indexes of large mappings, which would otherwise be searched again for each line of a report. */
const known = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();

function membersOf(node: YAMLMap): ReadonlyMap<string, Pair> {
  let members = known.get(node);
  if (members === undefined) {
    // If several members have the same name, the first.
    const pairs = node.items.toReversed();
    members = new Map(pairs.map((pair) => [String(isScalar(pair.key) ? pair.key.value : pair.key), pair]));
    known.set(node, members);
  }
  return members;
}

/** One step down from a node: the child's position and node; null if there is none. */
function descend(node: unknown, step: string | number): Below | null {
  if (isMap(node)) {
    const pair = membersOf(node).get(String(step));
    return pair === undefined ? null : { offset: (pair.key as Node).range?.[0], node: pair.value };
  }
  const item = isSeq(node) && typeof step === "number" ? node.items[step] : undefined;
  return item === undefined ? null : { offset: (item as Node).range?.[0], node: item };
}

/**
 * Offset of the deepest existing node on the path: an unknown field is located by its key, a missing one by its parent.
 */
export function offsetOf(document: Document, path: readonly (string | number)[]): number {
  let offset = document.contents?.range?.[0] ?? 0;
  let node: unknown = document.contents;
  for (const step of path) {
    const below = descend(node, step);
    if (below === null) break;
    offset = below.offset ?? offset;
    node = below.node;
  }
  return offset;
}
