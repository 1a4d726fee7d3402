/**
 * Requests that a provider runs later: lines of a batch's input, batches of messages, fine-tuning jobs. The rules about
 * models and steering apply to them as to calls. The rest of their content is not inspected.
 */
import { Buffer } from "node:buffer";
import type { Identity } from "../call/identity.ts";
import { type Failure, failure } from "../failure.ts";
import type { ProviderEntry, Role, Route } from "../snapshot/snapshot.ts";
import { isObject, type JsonObject, maxJsonDepth, objectsIn } from "../wire/json.ts";
import { outline } from "../wire/json-outline.ts";
import { rejectOtherModels } from "./other-models.ts";
import { rejectRegionOverride } from "./region-override.ts";
import { denyByRoleOrModel } from "./route.ts";
import { mistakenName } from "./shape.ts";

/** The caller, and the policy that applies. */
export interface LaterCaller {
  entry: ProviderEntry;
  route: Route;
  identity: Identity;
  roles: ReadonlyMap<string, Role>;
}

const noModel = (model: string): Failure =>
  failure(
    "model_not_found",
    `The provider of batches has no model ${JSON.stringify(model.slice(0, 128))}. Use one that its LLMProvider lists.`,
    { param: "model" },
  );

const unnamed = failure("missing_required_parameter", "The request names no model. Set `model`.", { param: "model" });

/** Members that two parsers may read differently. The text must be valid JSON. */
function ambiguity(text: string): Failure | null {
  const problem = outline(Buffer.from(text), maxJsonDepth);
  if (typeof problem !== "string") return null;
  return failure("invalid_json", "The request has a member twice, or one named `__proto__`. Leave it out.");
}

export class LaterRequests {
  readonly #caller: LaterCaller;

  constructor(caller: LaterCaller) {
    this.#caller = caller;
  }

  /** The provider's name for the model in `body`, if the caller may use it in such a request. */
  model(body: JsonObject): string | Failure {
    const mistaken = this.#mistaken(body);
    if (mistaken !== null) return mistaken;
    const requested = body["model"];
    if (typeof requested !== "string") return unnamed;
    const names = this.#names(requested);
    const [first] = names;
    if (first === undefined) return noModel(requested);
    const denials = names.map((name) => this.#denied(name));
    const allowed = denials.indexOf(null);
    return allowed < 0
      ? (denials[0] as Failure)
      : (this.#steered(body) ?? (this.#caller.entry.models.get(names[allowed] as string)?.config.upstream as string));
  }

  /** The same for a line of a batch's input. `text`: the line, which is valid JSON. */
  lineModel(body: unknown, text: string): string | Failure {
    const ambiguous = ambiguity(text);
    if (ambiguous !== null) return ambiguous;
    return isObject(body) ? this.model(body) : failure("invalid_value", "`body` must be an object.", { param: "body" });
  }

  /**
   * Why the caller may not make a batch or a job; null if it may. What it trains or runs need not be listed. Some
   * servers take a batch's requests within its body.
   */
  denied(request: JsonObject): Failure | null {
    const within = objectsIn(request["requests"]).flatMap(({ body, params }) => [body, params].filter(isObject));
    for (const body of [request, ...within]) {
      const denied = this.#deniedAlone(body);
      if (denied !== null) return denied;
    }
    return null;
  }

  #deniedAlone(request: JsonObject): Failure | null {
    const mistaken = this.#mistaken(request);
    if (mistaken !== null) return mistaken;
    const wanted = request["model"];
    if (wanted === undefined || wanted === null) return this.#steered(request);
    if (typeof wanted !== "string") return failure("invalid_value", "`model` must be a string.", { param: "model" });
    const names = this.#names(wanted);
    const denials = (names.length === 0 ? [wanted] : names).map((name) => this.#denied(name));
    return denials.includes(null) ? this.#steered(request) : (denials[0] ?? null);
  }

  /** The LLMProvider's names for a model. Callers may also use the provider's own name. */
  #names(asked: string): string[] {
    const { models } = this.#caller.entry;
    if (models.has(asked)) return [asked];
    return [...models].flatMap(([name, { config }]) => (config.upstream === asked ? [name] : []));
  }

  #mistaken(body: JsonObject): Failure | null {
    for (const name of Object.keys(body)) {
      const mistaken = mistakenName(this.#caller.route, name);
      if (mistaken !== null) return mistaken;
    }
    return null;
  }

  #denied(name: string): Failure | null {
    const { route, identity, roles } = this.#caller;
    return denyByRoleOrModel(route, name, identity, roles);
  }

  #steered(body: JsonObject): Failure | null {
    const { route, identity, roles } = this.#caller;
    return rejectOtherModels(body, route, identity, roles) ?? rejectRegionOverride(body, route);
  }
}
