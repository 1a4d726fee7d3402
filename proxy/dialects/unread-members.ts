/** Collects names of members that no translation reads. A flag that is off asks for nothing. */
import { isObject, isSet } from "../wire/json.ts";

export class UnreadMembers {
  readonly names = new Set<string>();

  /** Members of `value` beyond the known ones, below a path. */
  add(value: unknown, path: string, known: ReadonlySet<string>): void {
    if (!isObject(value)) return;
    for (const name in value)
      if (!known.has(name) && isSet(value[name]) && value[name] !== false) this.names.add(`${path}.${name}`);
  }

  /** The same by type; of other types, nothing. */
  addTyped(value: unknown, path: string, byType: Readonly<Record<string, ReadonlySet<string>>>): void {
    const type = isObject(value) ? String(value["type"]) : "";
    const known = Object.hasOwn(byType, type) ? byType[type] : undefined;
    if (known !== undefined) this.add(value, path, known);
  }
}
