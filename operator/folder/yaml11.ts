/**
 * Words that YAML 1.1, which kubectl reads, takes for true or false, and YAML 1.2, which is read here, for text. A
 * country list with NO in it is taken from a folder, and refused by a cluster.
 */
import { type Document, visit } from "yaml";

const booleans = /^(y|yes|on|n|no|off)$/i;
const yes = /^(y|yes|on)$/i;

/** Values that stand so in a document, and what to say of each. */
export function readOtherwise(document: Document): { offset: number; message: string }[] {
  const found: { offset: number; message: string }[] = [];
  visit(document, {
    Scalar: (key, { type, value, range }) => {
      if (key === "key" || type !== "PLAIN" || typeof value !== "string" || !booleans.test(value)) return;
      const boolean = yes.test(value) ? "true" : "false";
      found.push({
        offset: range?.[0] ?? 0,
        message: `kubectl reads ${value} as ${boolean}, and this is read as text: put it in quotes, or write ${boolean}`,
      });
    },
  });
  return found;
}
