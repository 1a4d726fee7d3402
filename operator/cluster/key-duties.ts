/** Tracks which ApiKeys need a new key, a rotation or a new address, so that a pass needn't check all of them. */
import { parseSpec } from "../../crds/parse.ts";
import { delta } from "../../proxy/config/incremental.ts";
import type { WorldObject } from "../compile/world.ts";
import { baseURLKey } from "./base-url.ts";
import { type Missing, missingKeys } from "./keys.ts";
import { type DueRotation, dueRotations } from "./rotation.ts";
import type { SecretValues } from "./secrets.ts";

/** Secret and key that hold an ApiKey's clear key. */
interface Place {
  secret: string;
  key: string;
}

type Secrets = ReadonlyMap<string, SecretValues>;

export class KeyDuties {
  readonly #baseURL: string;
  #objects: readonly WorldObject[] = [];
  #secrets: Secrets | null = null;
  readonly #places = new Map<WorldObject, Place>();
  readonly #lacking = new Set<WorldObject>();
  readonly #rotating = new Set<WorldObject>();
  /** Secrets, as namespace/name, whose address isn't the gateway's. */
  readonly #moved = new Set<string>();

  /** `baseURL`: what a Secret with a key should hold as the gateway's address; empty if it should hold none. */
  constructor(baseURL = "") {
    this.#baseURL = baseURL;
  }

  of(
    objects: readonly WorldObject[],
    secrets: Secrets,
    nowMs: number,
  ): { missing: Missing[]; turns: DueRotation[]; moved: string[] } {
    const { gone, come } = delta(this.#objects, objects);
    this.#objects = objects;
    for (const object of gone) this.#forget(object);
    for (const object of come) this.#learn(object, secrets);
    if (this.#secrets !== secrets) {
      this.#lacking.clear();
      this.#moved.clear();
      for (const [object, place] of this.#places) this.#look(object, place, secrets);
    }
    this.#secrets = secrets;
    return {
      missing: missingKeys([...this.#lacking], secrets),
      turns: dueRotations([...this.#rotating], secrets, nowMs),
      moved: [...this.#moved],
    };
  }

  #look(object: WorldObject, place: Place, secrets: Secrets): void {
    const values = secrets.get(place.secret);
    if (values?.[place.key] === undefined) this.#lacking.add(object);
    const address = values?.[baseURLKey];
    if (this.#baseURL !== "" && address !== undefined && address !== this.#baseURL && place.key !== baseURLKey)
      this.#moved.add(place.secret);
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
    if (writeTo === undefined) return;
    const place = { secret: `${object.meta.namespace}/${writeTo.name}`, key: writeTo.key };
    this.#places.set(object, place);
    this.#look(object, place, secrets);
    if (rotation !== undefined) this.#rotating.add(object);
  }
}
