/** Tracks which ApiKeys need a key made or rotated, so that a pass need not look at all of them. */
import { parseSpec } from "../../crds/parse.ts";
import { delta } from "../../proxy/config/incremental.ts";
import type { WorldObject } from "../compile/world.ts";
import { type Missing, missingKeys } from "./keys.ts";
import { type DueRotation, dueRotations } from "./rotation.ts";
import type { SecretValues } from "./secrets.ts";

/** Secret and key that hold an ApiKey's clear key. */
interface Place {
  secret: string;
  key: string;
}

type Secrets = ReadonlyMap<string, SecretValues>;

const lacks = ({ secret, key }: Place, secrets: Secrets): boolean => secrets.get(secret)?.[key] === undefined;

export class KeyDuties {
  #objects: readonly WorldObject[] = [];
  #secrets: Secrets | null = null;
  readonly #places = new Map<WorldObject, Place>();
  readonly #lacking = new Set<WorldObject>();
  readonly #rotating = new Set<WorldObject>();

  of(objects: readonly WorldObject[], secrets: Secrets, nowMs: number): { missing: Missing[]; turns: DueRotation[] } {
    const { gone, come } = delta(this.#objects, objects);
    this.#objects = objects;
    for (const object of gone) this.#forget(object);
    for (const object of come) this.#learn(object, secrets);
    if (this.#secrets !== secrets) {
      this.#lacking.clear();
      for (const [object, place] of this.#places) if (lacks(place, secrets)) this.#lacking.add(object);
    }
    this.#secrets = secrets;
    return {
      missing: missingKeys([...this.#lacking], secrets),
      turns: dueRotations([...this.#rotating], secrets, nowMs),
    };
  }

  #forget(object: WorldObject): void {
    this.#places.delete(object);
    this.#lacking.delete(object);
    this.#rotating.delete(object);
  }

  #learn(object: WorldObject, secrets: Secrets): void {
    const parsed = object.kind === "ApiKey" ? parseSpec("ApiKey", object.spec ?? {}) : null;
    if (parsed === null || !parsed.ok || parsed.spec.revoked) return;
    const { writeTo, rotation } = parsed.spec;
    const place = { secret: `${object.meta.namespace}/${writeTo.name}`, key: writeTo.key };
    this.#places.set(object, place);
    if (lacks(place, secrets)) this.#lacking.add(object);
    if (rotation !== undefined) this.#rotating.add(object);
  }
}
