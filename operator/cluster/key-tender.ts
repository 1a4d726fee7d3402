/** Makes the Secrets of keys that are missing, rotates keys that are due, and refreshes the address they carry. */
import type { WorldObject } from "../compile/world.ts";
import { type Cluster, orNull } from "./api.ts";
import { mayRefresh, refreshBaseURL } from "./base-url.ts";
import { eachOf } from "./each.ts";
import { KeyDuties } from "./key-duties.ts";
import { type Missing, makeKey } from "./keys.ts";
import { ownRotations, rotate } from "./rotation.ts";
import { mayRotate } from "./secret-ownership.ts";
import type { SecretReader, SecretValues } from "./secrets.ts";
import { inTurns } from "./turns.ts";

const keysAtOnce = 8;
/** How long Secrets are created before a pass publishes; the rest are created after it. */
const usualSliceMs = 2_000;

export interface Tended {
  /** Whether Secrets must be read again. */
  changed: boolean;
  /** ApiKeys whose Secrets are not made yet; tend again after publishing. */
  waiting: ReadonlySet<WorldObject>;
}

type Rotations = ReturnType<typeof ownRotations>;

export class KeyTender {
  readonly #cluster: Cluster;
  readonly #secrets: SecretReader;
  readonly #baseURL: string;
  readonly #failed: (path: string, cause: unknown) => void;
  readonly #duties: KeyDuties;
  readonly #sliceMs: number;
  /** How many Secrets were made so far. */
  #made = 0;
  /** When the last slice ended; null if it left nothing. */
  #endedMs: number | null = null;

  constructor(
    cluster: Cluster,
    secrets: SecretReader,
    baseURL: string,
    failed: (path: string, cause: unknown) => void,
    sliceMs = usualSliceMs,
  ) {
    this.#sliceMs = sliceMs;
    this.#cluster = cluster;
    this.#secrets = secrets;
    this.#baseURL = baseURL;
    this.#failed = failed;
    this.#duties = new KeyDuties(baseURL);
  }

  /** Examines the objects on a standby, so that its first pass as the leader needn't examine all of them. */
  lookAhead(objects: readonly WorldObject[], values: ReadonlyMap<string, SecretValues>, nowMs: number): void {
    this.#duties.of(objects, values, nowMs);
  }

  async tend(
    objects: readonly WorldObject[],
    values: ReadonlyMap<string, SecretValues>,
    nowMs: number,
  ): Promise<Tended> {
    const { rights } = this.#secrets;
    const due = this.#duties.of(objects, values, nowMs);
    // Secrets that Sluice may not write are left alone; the ApiKey's status says so.
    const missing = due.missing.filter(
      ({ object, secret }) => rights[`${object.meta.namespace}/${secret}`]?.writable ?? true,
    );
    const rotations = ownRotations(due.turns, objects).filter(({ namespace, secret, key }) => {
      const held = rights[`${namespace}/${secret}`];
      return held !== undefined && mayRotate(held, key);
    });
    const moved = due.moved.filter((ref) => rights[ref] !== undefined && mayRefresh(rights[ref]));
    const waiting = await this.#make(missing);
    await this.#rotate(rotations, values, nowMs);
    await this.#refresh(moved);
    return { changed: missing.length + rotations.length + moved.length > 0, waiting };
  }

  /**
   * A namespace that accepts no Secret, such as one whose quota is used up, must not hold up the others; the key's
   * status says what is missing.
   */
  async #make(missing: readonly Missing[]): Promise<Set<WorldObject>> {
    const waiting = new Set(missing.map(({ object }) => object));
    const order = inTurns(missing, ({ object }) => object.meta.namespace, this.#made);
    const beganMs = performance.now();
    // At least as long as the work between two slices, so that Secrets get half of the time on a busy machine too.
    const untilMs = beganMs + Math.max(this.#sliceMs, this.#endedMs === null ? 0 : beganMs - this.#endedMs);
    const some = function* (): Generator<Missing> {
      for (const [index, key] of order.entries()) {
        if (index >= keysAtOnce && performance.now() >= untilMs) return;
        waiting.delete(key.object);
        yield key;
      }
    };
    const failures = await eachOf(some(), keysAtOnce, (key) => makeMissing(this.#cluster, key, this.#baseURL));
    for (const cause of failures) this.#failed("Secrets for keys", cause);
    for (const { object, secret } of order)
      if (!waiting.has(object)) this.#secrets.invalidate(`${object.meta.namespace}/${secret}`);
    this.#made += order.length - waiting.size;
    this.#endedMs = waiting.size === 0 ? null : performance.now();
    return waiting;
  }

  async #rotate(rotations: Rotations, values: ReadonlyMap<string, SecretValues>, nowMs: number): Promise<void> {
    const failures = await eachOf(rotations, keysAtOnce, (rotation) =>
      rotate(this.#cluster, rotation, values.get(`${rotation.namespace}/${rotation.secret}`) ?? {}, nowMs),
    );
    for (const cause of failures) this.#failed("Secrets of keys to rotate", cause);
    for (const { namespace, secret } of rotations) this.#secrets.invalidate(`${namespace}/${secret}`);
  }

  async #refresh(moved: readonly string[]): Promise<void> {
    const failures = await eachOf(moved, keysAtOnce, (ref) => {
      const [namespace = "", name = ""] = ref.split("/");
      return refreshBaseURL(this.#cluster, { namespace, name }, this.#baseURL);
    });
    for (const cause of failures) this.#failed("addresses in Secrets of keys", cause);
    for (const ref of moved) this.#secrets.invalidate(ref);
  }
}

/** Reads again before writing: the cached Secret may be stale. */
async function makeMissing(cluster: Cluster, missing: Missing, baseURL: string): Promise<void> {
  const { namespace } = missing.object.meta;
  const stored = await orNull(cluster.core.readNamespacedSecret({ namespace, name: missing.secret }));
  if (stored?.data?.[missing.key] === undefined) await makeKey(cluster, missing, stored, baseURL);
}
