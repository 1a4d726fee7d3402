/** Ids in what a provider answers → sealed for the caller, byte by byte as they stand. */
import { Buffer } from "node:buffer";
import type { Shaped } from "../call/shaped.ts";
import { isObject } from "../wire/json.ts";
import { editStrings, type JsonPath } from "../wire/json-strings.ts";
import { isIdAt } from "./members.ts";

/** Seals one id of the provider's. */
export type SealId = (id: string) => string;

/** Ids recur in a stream. */
export function remembering(seal: SealId): SealId {
  const sealed = new Map<string, string>();
  return (id) => {
    let text = sealed.get(id);
    if (text === undefined) sealed.set(id, (text = seal(id)));
    return text;
  };
}

const runsAtProvider = (tool: unknown): boolean => isObject(tool) && String(tool["type"] ?? "custom") !== "custom";

/** Whether answers to a request can hold ids of what the provider keeps. */
export function answersHoldIds({ format, received: { json } }: Shaped): boolean {
  if (format === "openai.responses") return true;
  if (format === "openai.chat") return (json["audio"] ?? null) !== null || (json["modalities"] ?? null) !== null;
  if (format !== "anthropic.messages") return false;
  const tools = json["tools"];
  return (json["container"] ?? null) !== null || (Array.isArray(tools) && tools.some(runsAtProvider));
}

/** A whole answer, or any JSON. `root`: the document's own `id` is one. */
export function sealIds(text: string, seal: SealId, root: boolean): string {
  return editStrings(text, (path: JsonPath, value) => (value !== "" && isIdAt(path, root) ? seal(value) : null));
}

const data = /^data: ?/;

/** Whole frames of an event stream. */
export function sealFrames(frames: Uint8Array, seal: SealId, root: boolean): Buffer {
  const text = Buffer.from(frames.buffer, frames.byteOffset, frames.byteLength).toString("utf8");
  const lines = text.split("\n").map((line) => (data.test(line) ? sealIds(line, seal, root) : line));
  return Buffer.from(lines.join("\n"));
}
