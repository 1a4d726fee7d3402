/** Where the members of a YAML document stand in its text. */
import { type Document, isMap, isScalar, isSeq, type Node } from "yaml";

interface Below {
  offset: number | undefined;
  node: unknown;
}

/** One step down from a node: the child's position and node; null if there is none. */
function descend(node: unknown, step: string | number): Below | null {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => (isScalar(key) ? String(key.value) === String(step) : key === step));
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
