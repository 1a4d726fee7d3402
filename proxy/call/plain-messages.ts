/** Messages that hold only texts, as most do: nothing in them can refer elsewhere, so nothing has to be searched. */
import type { JsonObject } from "../wire/json.ts";

const ofTexts = (name: string): boolean => name === "role" || name === "content" || name === "name";

export function arePlain(messages: unknown): boolean {
  if (!Array.isArray(messages)) return false;
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index] as JsonObject;
    for (const name in message) if (!ofTexts(name) || typeof message[name] !== "string") return false;
  }
  return true;
}
