/** What V8's profilers wrote, added up by file, by function and by layer. Pure. */
import { basename } from "node:path";

interface Frame {
  functionName: string;
  url: string;
  lineNumber: number;
}

interface CpuProfile {
  nodes: { id: number; callFrame: Frame; children?: number[] }[];
  /** Microseconds of the machine's monotonic clock. */
  startTime: number;
  samples: number[];
  /** Microseconds. */
  timeDeltas: number[];
}

interface HeapNode {
  callFrame: Frame;
  selfSize: number;
  children?: HeapNode[];
}

export type Sums = Map<string, number>;

export interface Profile {
  total: number;
  byFile: Sums;
  byFunction: Sums;
  /** Native code counts for the layer that called it: JSON.parse for Sluice, a write to a socket for Node. */
  byLayer: Sums;
  /** Each function with all that it calls. */
  within: Sums;
}

/** Microseconds of the machine's monotonic clock. */
interface Span {
  from: number;
  to: number;
}

const short = (url: string): string => url.replace(/^file:\/\//, "").replace(`${process.cwd()}/`, "");

const socketWrites: ReadonlySet<string> = new Set([
  "writev",
  "writeBuffer",
  "writeLatin1String",
  "writeUtf8String",
  "writeAsciiString",
]);

/** null: code of the engine, which belongs to who called it. */
function layerOf({ url, functionName }: Frame): string | null {
  const file = short(url);
  // Of llhttp, which undici reads answers with.
  if (file.startsWith("wasm:")) return "undici";
  if (file.startsWith("node:")) return "Node's own JavaScript, and what it calls";
  const [, library] = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file) ?? [];
  if (library !== undefined) return library;
  if (file !== "") return file.startsWith("test/") ? "the bare proxy" : "Sluice";
  if (socketWrites.has(functionName)) return "writing to sockets";
  if (functionName === "(garbage collector)") return "collecting garbage";
  return functionName === "(program)" ? "native code outside JavaScript" : null;
}

const nameOf = (frame: Frame): string =>
  `${frame.functionName || "(anonymous)"} ${basename(short(frame.url))}:${frame.lineNumber + 1}`;

class Adding implements Profile {
  total = 0;
  readonly byFile: Sums = new Map();
  readonly byFunction: Sums = new Map();
  readonly byLayer: Sums = new Map();
  readonly within: Sums = new Map();

  add(frame: Frame, layer: string, weight: number): void {
    const file = short(frame.url).replace(/^node_modules\//, "");
    this.total += weight;
    for (const [sums, name] of [
      [this.byFile, file || frame.functionName],
      [this.byFunction, nameOf(frame)],
      [this.byLayer, layer],
    ] as const)
      sums.set(name, (sums.get(name) ?? 0) + weight);
  }
}

const unknown = "the engine";

/** Weights are microseconds; idle time, and what lies outside the span, are left out. */
export function cpuProfile(text: string, span: Span = { from: 0, to: Number.POSITIVE_INFINITY }): Profile {
  const { nodes, samples, timeDeltas, startTime } = JSON.parse(text) as CpuProfile;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const layers = new Map<number, string>();
  const callers = new Map<number, ReadonlySet<string>>();
  const [root] = nodes;
  const pending: [number, string, ReadonlySet<string>][] = root === undefined ? [] : [[root.id, unknown, new Set()]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [id, above, outer] = next;
    const node = byId.get(id);
    if (node === undefined) continue;
    const layer = layerOf(node.callFrame) ?? above;
    const path = new Set(outer).add(nameOf(node.callFrame));
    layers.set(id, layer);
    callers.set(id, path);
    for (const child of node.children ?? []) pending.push([child, layer, path]);
  }
  const sums = new Adding();
  let time = startTime;
  for (const [index, sample] of samples.entries()) {
    const delta = timeDeltas[index] ?? 0;
    time += delta;
    const frame = byId.get(sample)?.callFrame;
    if (!frame || frame.functionName === "(idle)" || time < span.from || time > span.to) continue;
    sums.add(frame, layers.get(sample) ?? unknown, delta);
    for (const name of callers.get(sample) ?? []) sums.within.set(name, (sums.within.get(name) ?? 0) + delta);
  }
  return sums;
}

/** Weights are bytes that were still held when the profile was written. */
export function heapProfile(text: string): Profile {
  const sums = new Adding();
  const pending: [HeapNode, string][] = [[(JSON.parse(text) as { head: HeapNode }).head, unknown]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [node, above] = next;
    const layer = layerOf(node.callFrame) ?? above;
    sums.add(node.callFrame, layer, node.selfSize);
    for (const child of node.children ?? []) pending.push([child, layer]);
  }
  return sums;
}
