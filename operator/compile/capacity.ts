/**
 * What is published has limits: a ConfigMap or Secret holds 1 MiB. When the objects of a shard don't fit, each
 * namespace has a share of it, and the objects beyond their namespace's share are refused, so that no namespace can
 * keep another's objects from being published. Pure.
 *
 *   share     the most that a namespace may use, so that all fit together and none gets less than an even split would
 *             give it: namespaces that use less leave the rest to the others (max-min fairness)
 *   within a  published objects stay, in their published form; then new forms and new objects, oldest object first,
 *   share     as long as they fit
 */
import { namespaceOf } from "./outcome.ts";

/** Bytes that an object takes in each of its shards. */
export type Load = ReadonlyMap<string, number>;

export interface CapacityRequest {
  /** `namespace/name`. */
  id: string;
  createdAtMs: number;
  /** null: the object has no form to publish. */
  wanted: Load | null;
  /** Size of the published form if that may stay; otherwise null. */
  published: Load | null;
}

/** Why an object's form does not fit. */
export interface Overflow {
  shard: string;
  /** Size of the form. */
  bytes: number;
  /** The share of the object's namespace in the shard. */
  shareBytes: number;
}

export interface Placement {
  form: "wanted" | "published" | "none";
  /** Why it is not the wanted form; null if it is. */
  overflow: Overflow | null;
}

/** The most that each may use, so that all of them fit. */
export function fairShare(uses: readonly number[], boundBytes: number): number {
  const ascending = uses.toSorted((a, b) => a - b);
  let left = boundBytes;
  for (const [place, bytes] of ascending.entries()) {
    const share = Math.floor(left / (ascending.length - place));
    if (bytes > share) return share;
    left -= bytes;
  }
  return boundBytes;
}

/** Shard → namespace → bytes. */
type Uses = Map<string, Map<string, number>>;

function add(uses: Uses, namespace: string, load: Load, sign: 1 | -1): void {
  for (const [shard, bytes] of load) {
    const ofShard = uses.get(shard) ?? new Map<string, number>();
    uses.set(shard, ofShard.set(namespace, (ofShard.get(namespace) ?? 0) + sign * bytes));
  }
}

/** null if everything fits. */
function sharesOf(
  requests: readonly CapacityRequest[],
  boundOf: (shard: string) => number,
): Map<string, number> | null {
  const demand: Uses = new Map();
  for (const { id, wanted, published } of requests) add(demand, namespaceOf(id), wanted ?? published ?? new Map(), 1);
  const shares = new Map<string, number>();
  for (const [shard, byNamespace] of demand) {
    const uses = [...byNamespace.values()];
    if (uses.reduce((sum, bytes) => sum + bytes, 0) > boundOf(shard))
      shares.set(shard, fairShare(uses, boundOf(shard)));
  }
  return shares.size === 0 ? null : shares;
}

/** What is used of the shards that can't hold everything. */
class Usage {
  readonly #shares: ReadonlyMap<string, number>;
  readonly #used: Uses = new Map();

  constructor(shares: ReadonlyMap<string, number>) {
    this.#shares = shares;
  }

  /** Takes the space if there is enough; otherwise returns the shortage. */
  take(namespace: string, load: Load): Overflow | null {
    for (const [shard, bytes] of load) {
      const shareBytes = this.#shares.get(shard);
      if (shareBytes !== undefined && (this.#used.get(shard)?.get(namespace) ?? 0) + bytes > shareBytes)
        return { shard, bytes, shareBytes };
    }
    add(this.#used, namespace, load, 1);
    return null;
  }

  giveBack(namespace: string, load: Load): void {
    add(this.#used, namespace, load, -1);
  }
}

/** `stays`: whether the published form keeps its space. */
function place({ id, wanted, published }: CapacityRequest, stays: boolean, usage: Usage): Placement {
  const fallback = stays ? "published" : "none";
  if (wanted === null) return { form: fallback, overflow: null };
  const namespace = namespaceOf(id);
  if (stays && published !== null) usage.giveBack(namespace, published);
  const overflow = usage.take(namespace, wanted);
  if (overflow === null) return { form: "wanted", overflow };
  if (stays && published !== null) usage.take(namespace, published);
  return { form: fallback, overflow };
}

/** What happens to each object; null if all of them fit. */
export function placeAll(
  requests: readonly CapacityRequest[],
  boundOf: (shard: string) => number,
): Map<string, Placement> | null {
  const shares = sharesOf(requests, boundOf);
  if (shares === null) return null;
  const usage = new Usage(shares);
  const oldestFirst = requests.toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
  const kept = new Set(
    oldestFirst.filter(({ id, published }) => published !== null && usage.take(namespaceOf(id), published) === null),
  );
  return new Map(oldestFirst.map((request) => [request.id, place(request, kept.has(request), usage)]));
}
