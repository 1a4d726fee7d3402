/** When keys of another gateway were last used here, so that the operator can show which are left to move. */
import { type ForeignKeyUse, foreignKeyLabel } from "../config/foreign-key-use.ts";

const hourMs = 3_600_000;
/** Most keys that are remembered; the one that was used first is forgotten. */
const maxKept = 20_000;

interface Use {
  key: string;
  value: string;
  hourMs: number;
}

export class ForeignKeyUses {
  readonly #uses = new Map<string, Use>();

  /** `value`: the SHA-256 of the key. Times are whole hours, so that statuses change seldom. */
  note(key: string, value: string, nowMs: number): void {
    const id = `${key} ${value}`;
    const hour = nowMs - (nowMs % hourMs);
    const cached = this.#uses.get(id);
    if (cached !== undefined) {
      cached.hourMs = hour;
      return;
    }
    if (this.#uses.size >= maxKept) this.#uses.delete(this.#uses.keys().next().value ?? "");
    this.#uses.set(id, { key, value, hourMs: hour });
  }

  readings(): ForeignKeyUse[] {
    return [...this.#uses.values()].map((use) => ({
      key: use.key,
      label: foreignKeyLabel(use.value),
      lastUsedMs: use.hourMs,
    }));
  }
}
