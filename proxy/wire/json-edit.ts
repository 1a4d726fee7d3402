/**
 * Edits the top level of a JSON object without serialising the rest again, so that what passes through stays byte for
 * byte what the client sent: number formats, member order, unknown members.
 */
import { Buffer } from "node:buffer";
import type { JsonMember, Outline } from "./json-outline.ts";

/** Member name → new value; undefined removes the member. New members are added at the front. */
export type Edits = Readonly<Record<string, unknown>>;

/**
 * Cached JSON of short names, strings and numbers: most calls insert the same ones, such as the upstream's model name.
 */
const kept = new Map<string | number, Buffer>();
const maxKept = 256;
const keptLength = 64;

function jsonOf(value: unknown): Buffer {
  if (typeof value !== "number" && (typeof value !== "string" || value.length > keptLength))
    return Buffer.from(JSON.stringify(value));
  let json = kept.get(value);
  if (json === undefined) {
    if (kept.size >= maxKept) kept.clear();
    kept.set(value, (json = Buffer.from(JSON.stringify(value))));
  }
  return json;
}

/** The last number added under each name, as most calls add the same cap. */
const lastAdded = new Map<string, { value: number; bytes: Buffer }>();

/** A member to add, and a comma. */
function memberBytes(name: string, value: unknown): Buffer {
  const cached = lastAdded.get(name);
  if (cached !== undefined && cached.value === value) return cached.bytes;
  const bytes = Buffer.from(`${JSON.stringify(name)}:${JSON.stringify(value)},`);
  if (typeof value === "number" && name.length <= keptLength) {
    if (lastAdded.size >= maxKept) lastAdded.clear();
    lastAdded.set(name, { value, bytes });
  }
  return bytes;
}

/** `bytes` replace the range from `from` to `to`. */
interface Cut {
  from: number;
  to: number;
  bytes: Buffer;
}

const colon = Buffer.from(":");
const comma = Buffer.from(",");

/** Returns a new buffer with the edits applied, or the same buffer if nothing changes. */
export function applyEdits(body: Buffer, found: Outline, edits: Edits): Buffer {
  let count = 0;
  for (const _ in edits) count++;
  if (count === 0) return body;
  let replaced: JsonMember[] | null = null;
  for (let index = 0; index < found.members.length; index++) {
    const member = found.members[index] as JsonMember;
    if (!Object.hasOwn(edits, member.name)) continue;
    if (edits[member.name] === undefined) return rewrite(body, found, edits);
    (replaced ??= []).push(member);
  }
  if (replaced === null) return inserted(body, addition(found, none, edits));
  const cuts: Cut[] = [];
  const added = replaced.length < count ? addition(found, replaced, edits) : null;
  if (added !== null) cuts.push(added);
  for (let index = 0; index < replaced.length; index++) {
    const { name, valueStart, valueEnd } = replaced[index] as JsonMember;
    cuts.push({ from: valueStart, to: valueEnd, bytes: jsonOf(edits[name]) });
  }
  return spliced(body, cuts);
}

const none: readonly JsonMember[] = [];

const inserted = (body: Buffer, cut: Cut | null): Buffer => (cut === null ? body : spliced(body, [cut]));

/** Members that are not present yet, after the opening brace; null if there are none. */
function addition({ open, members }: Outline, replaced: readonly JsonMember[], edits: Edits): Cut | null {
  let bytes: Buffer | null = null;
  for (const name in edits) {
    if (edits[name] === undefined || has(replaced, name)) continue;
    const member = memberBytes(name, edits[name]);
    bytes = bytes === null ? member : Buffer.concat([bytes, member]);
  }
  if (bytes === null) return null;
  return { from: open, to: open, bytes: members.length > 0 ? bytes : bytes.subarray(0, -1) };
}

function has(members: readonly JsonMember[], name: string): boolean {
  for (const member of members) if (member.name === name) return true;
  return false;
}

/** `cuts` are sorted by position. */
function spliced(body: Buffer, cuts: readonly Cut[]): Buffer {
  let growth = 0;
  let behind = 0;
  for (let index = 0; index < cuts.length; index++) {
    const { from, to, bytes } = cuts[index] as Cut;
    growth += bytes.length - (to - from);
    behind = to;
  }
  const out = Buffer.allocUnsafe(body.length + growth);
  // Most of the body usually follows the last cut. Copying everything once costs less than a view of that part.
  if (growth >= 0) out.set(body, growth);
  else body.copy(out, behind + growth, behind);
  let read = 0;
  let written = 0;
  for (let index = 0; index < cuts.length; index++) {
    const { from, to, bytes } = cuts[index] as Cut;
    if (from > read) written += body.copy(out, written, read, from);
    out.set(bytes, written);
    written += bytes.length;
    read = to;
  }
  return out;
}

/** Used when members are removed: rejoins the remaining members, whose values stay the client's bytes. */
function rewrite(body: Buffer, found: Outline, edits: Edits): Buffer {
  const pieces: Buffer[] = [Buffer.from("{")];
  const present = new Set<string>();
  const put = (name: string, value: Buffer): void => {
    if (pieces.length > 1) pieces.push(comma);
    pieces.push(jsonOf(name), colon, value);
  };
  for (const member of found.members) {
    const edited = Object.hasOwn(edits, member.name);
    if (edited && edits[member.name] === undefined) continue;
    present.add(member.name);
    put(member.name, edited ? jsonOf(edits[member.name]) : body.subarray(member.valueStart, member.valueEnd));
  }
  for (const [name, value] of Object.entries(edits))
    if (value !== undefined && !present.has(name)) put(name, jsonOf(value));
  pieces.push(Buffer.from("}"));
  return Buffer.concat(pieces);
}
