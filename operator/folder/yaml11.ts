/**
 * Words that YAML 1.1, which kubectl reads, treats as booleans, and YAML 1.2, which is read here, as text. A country
 * list with NO in it would be accepted from a folder and refused by a cluster.
 */
import { type Document, visit } from "yaml";

const booleans = /^(y|yes|on|n|no|off)$/i;
const yes = /^(y|yes|on)$/i;

/** Such values in a document, and a message for each. */
export function readOtherwise(document: Document): { offset: number; message: string }[] {
  const warnings: { offset: number; message: string }[] = [];
  visit(document, {
    Scalar: (key, { type, value, range }) => {
      if (key === "key" || type !== "PLAIN" || typeof value !== "string" || !booleans.test(value)) return;
      const boolean = yes.test(value) ? "true" : "false";
      warnings.push({
        offset: range?.[0] ?? 0,
        message: `kubectl reads ${value} as ${boolean}, but here it is read as text; put it in quotes, or write ${boolean}`,
      });
    },
  });
  return warnings;
}
