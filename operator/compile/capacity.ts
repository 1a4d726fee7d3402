/**
 * What is published has bounds: a ConfigMap or Secret holds 1 MiB. When the objects of a shard don't fit, each namespace
 * has a share of it, and the objects that would go beyond their namespace's share are refused, so that no namespace can
 * keep another's objects from being published. Pure.
 *
 *   share     what each namespace may use at most, so that all together fit and none gets less than it would by an even
 *             split: namespaces that use less leave the rest to the others (max-min fairness)
 *   within a  what is published stays, in its published form; then new forms and new objects, the oldest object first,
 *   share     as long as they fit
 */
import { namespaceOf } from "./outcome.ts";

/** Bytes that an object takes in each shard that it is in. */
export type Load = ReadonlyMap<string, number>;

export interface CapacityRequest {
  /** `namespace/name`. */
  id: string;
  createdAtMs: number;
  /** null: the object has no form that could be published. */
  wanted: Load | null;
  /** Of the form that is published now and could stay; null where there is none. */
  published: Load | null;
}

/** Why an object's form does not fit. */
export interface Overflow {
  shard: string;
  /** What the form takes. */
  bytes: number;
  /** What the object's namespace may use of the shard. */
  shareBytes: number;
}

export interface Placement {
  form: "wanted" | "published" | "none";
  /** Why it is not the wanted form; null where it is. */
  overflow: Overflow | null;
}

/** The most that each of several may use, so that all of them fit. */
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

/** null where everything fits. */
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

/** What is used of the shards that don't suffice for all. */
class Usage {
  readonly #shares: ReadonlyMap<string, number>;
  readonly #used: Uses = new Map();

  constructor(shares: ReadonlyMap<string, number>) {
    this.#shares = shares;
  }

  /** Takes the room where there is enough; else why there isn't. */
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

/** `stays`: the published form has its room. */
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

/** What becomes of each object; null where all of them fit as they are. */
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
