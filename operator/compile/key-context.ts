/**
 * The inputs that all keys share: roles, available models, budgets that select by labels, and the previously published
 * records.
 */

import { sameList } from "../../proxy/config/incremental.ts";
import type { KeyRecord } from "../../proxy/config/key-record.ts";
import { isModelPattern, listsModel, mayMeanTheSame } from "../../proxy/config/model-pattern.ts";
import { browserOrigin } from "../../proxy/config/origin.ts";
import type { RouteConfig } from "../../proxy/config/route.ts";
import type { KeyRules } from "./keys.ts";
import { problem } from "./outcome.ts";
import type { Selecting } from "./selectors.ts";
import type { Problem } from "./verdict.ts";
import type { CompileInput } from "./world.ts";

/** Whether a model is offered; null if any is. */
type Offers = (namespace: string) => ((model: string) => boolean) | null;

/** The same object as long as nothing in it changes. */
export interface KeyContext {
  /** Roles that exist, sorted; null if they are unknown. */
  roles: string | null;
  routes: readonly RouteConfig[];
  /** Labels of all namespaces, as one text to compare. */
  selectors: string;
  roleProblem(role: string): Problem | null;
  /** The same object as long as its content is the same. */
  keyRules: KeyRules;
  /** Namespace → what its keys can call; null if a policy accepts any model. */
  offers: Offers;
  /** Namespace → its budgets that select by labels; the list is the same as long as its content is the same. */
  selecting(namespace: string): readonly Selecting[];
}

const nothing: readonly never[] = [];

function rolesIn({ settings }: CompileInput): string | null {
  return settings.knowsRoles !== true || settings.proxy.roles === undefined
    ? null
    : Object.keys(settings.proxy.roles).sort().join(", ");
}

/** Also null if the roles are unknown. */
function roleProblems({ settings }: CompileInput, names: string | null): KeyContext["roleProblem"] {
  const roles = settings.proxy.roles;
  return (role) => {
    if (names === null || roles === undefined || Object.hasOwn(roles, role)) return null;
    const message = `this installation has no role ${role}, so calls with this key are refused; its roles are: ${names}`;
    return problem("RoleNotFound", message, ["spec", "role"]);
  };
}

function offersOf(routes: readonly RouteConfig[]): Offers {
  const known = new Map<string, ReturnType<Offers>>();
  return (namespace) => {
    const before = known.get(namespace);
    if (before !== undefined) return before;
    const offered = routes.filter((route) => route.consumers === "*" || route.consumers.includes(namespace));
    const any = offered.some((route) => route.models === null);
    const names = new Set(offered.flatMap((route) => route.models ?? []));
    const patterns = [...names].filter(isModelPattern);
    const offers = (model: string): boolean =>
      isModelPattern(model)
        ? [...names].some((name) => mayMeanTheSame(name, model))
        : names.has(model) || listsModel(patterns, model);
    known.set(namespace, any ? null : offers);
    return any ? null : offers;
  };
}

/** Results of compiling other kinds that keys depend on. */
export interface KeySurroundings {
  /** Live routes: a key may name models that none of them serves. */
  routes: readonly RouteConfig[];
  /** Budgets that select by labels. */
  selecting: readonly Selecting[];
  /** Digests of the credentials that other objects use. */
  inUse: ReadonlySet<string>;
}

export class KeyContextMemo {
  #ground: KeyContext | null = null;
  #selecting: ReadonlyMap<string, { text: string; budgets: readonly Selecting[] }> = new Map();
  #last: { keys: readonly KeyRecord[]; byId: Map<string, KeyRecord> } | null = null;

  ground(input: CompileInput, { routes, selecting, inUse }: KeySurroundings): KeyContext {
    const before = this.#ground;
    const roles = rolesIn(input);
    const selectors = JSON.stringify(selecting);
    const sameRoutes = before !== null && sameList(before.routes, routes);
    const keyRules = this.#rulesOf(input.settings, inUse);
    const same = before !== null && before.roles === roles && before.keyRules === keyRules;
    if (same && sameRoutes && before.selectors === selectors) return before;
    this.#ground = {
      roles,
      routes,
      selectors,
      roleProblem: roleProblems(input, roles),
      keyRules,
      offers: sameRoutes ? before.offers : offersOf(routes),
      selecting: this.#selectingOf(selecting),
    };
    return this.#ground;
  }

  #rulesOf(
    { refuseWeakKeys: refuseWeak = false, reportLabels = [], knowsRoles, proxy }: CompileInput["settings"],
    credentials: ReadonlySet<string>,
  ): KeyRules {
    const origins = knowsRoles === true ? (proxy.cors?.allowedOrigins ?? []).map(browserOrigin) : null;
    const before = this.#ground?.keyRules;
    const same =
      before !== undefined &&
      before.refuseWeak === refuseWeak &&
      before.reportLabels.join() === reportLabels.join() &&
      before.origins?.join() === origins?.join() &&
      before.credentials.size === credentials.size &&
      before.credentials.isSubsetOf(credentials);
    return same ? before : { refuseWeak, credentials, reportLabels, origins };
  }

  #selectingOf(all: readonly Selecting[]): KeyContext["selecting"] {
    const now = new Map<string, { text: string; budgets: readonly Selecting[] }>();
    for (const [namespace, budgets] of Map.groupBy(all, (budget) => budget.namespace)) {
      const before = this.#selecting.get(namespace);
      const text = JSON.stringify(budgets);
      now.set(namespace, before?.text === text ? before : { text, budgets });
    }
    this.#selecting = now;
    return (namespace) => now.get(namespace)?.budgets ?? nothing;
  }

  /** The record of a key in what was published. The index is built only if some key is not live on its own. */
  last(previous: readonly KeyRecord[] | undefined): (id: string) => KeyRecord | undefined {
    if (previous === undefined) return () => undefined;
    return (id) => {
      if (this.#last?.keys !== previous)
        this.#last = { keys: previous, byId: new Map(previous.map((record) => [record.id, record])) };
      return this.#last.byId.get(id);
    };
  }

  /** Records published from `now` become `before` in the next pass: an existing index is kept. */
  publish(
    before: readonly KeyRecord[],
    now: readonly KeyRecord[],
    gone: Iterable<KeyRecord>,
    come: Iterable<KeyRecord>,
  ): void {
    if (this.#last?.keys !== before) return;
    for (const record of gone) this.#last.byId.delete(record.id);
    for (const record of come) this.#last.byId.set(record.id, record);
    this.#last.keys = now;
  }
}
