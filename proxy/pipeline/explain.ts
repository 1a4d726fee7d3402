/**
 * Explains what would happen to a request, and why. It uses the same predicates that serve calls. Nothing is sent, and
 * every provider is assumed to be healthy.
 */
import type { Buffer } from "node:buffer";
import type { Identity } from "../call/identity.ts";
import { parseBody } from "../call/received.ts";
import { sessionOf } from "../call/session.ts";
import type { Shaped } from "../call/shaped.ts";
import { byPrecision, isModelPattern, listsModel, matchesPattern, modelPattern } from "../config/model-pattern.ts";
import { type Failure, type FailureCode, failure, failures, isFailure } from "../failure.ts";
import { createRouting } from "../routing/create.ts";
import type { PlanRequest } from "../routing/routing.ts";
import { holds, matchesRule, unmet } from "../routing/rules.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { PathEntry, Route, Snapshot } from "../snapshot/snapshot.ts";
import { type Addressed, address, addressFor, formatOf } from "./address.ts";
import { authorise } from "./checks.ts";
import { inSession, leftOut, placedBy } from "./explain-places.ts";
import { unmasked } from "./mask.ts";
import { planRequest } from "./plan.ts";
import { prepare } from "./prepare.ts";
import { noTarget, noTargetByRule, offeredTo, offersTo, resolveTargets, route } from "./route.ts";
import { shape } from "./shape.ts";

export interface ExplainRequest {
  identity: Identity;
  /** The path as sent, such as /v1/chat/completions. */
  path: string;
  body: Buffer;
  /** Header names are in lower case. */
  headers: Readonly<Record<string, string>>;
  /** Overrides the token count estimated from the body. */
  promptTokens: number | null;
  outputTokens: number | null;
  batchSize: number | null;
  /** Where the call comes from, and when. null if unknown, as behind an untrusted proxy. */
  address: string | null;
  country: string | null;
}

export interface RouteReport {
  route: string;
  chosen: boolean;
  why: string;
}

export interface RuleReport {
  /** Counted from 1. */
  rule: number;
  decides: boolean;
  why: string;
}

export interface TargetReport {
  target: string;
  provider: string;
  /** The provider's own name for the model; null if it has no matching model. */
  upstreamModel: string | null;
  /** Position in the order, from 1; null if it would not be asked. */
  place: number | null;
  why: string;
  /** The failure if this target were asked; null if it could serve. */
  refuses: string | null;
  /** Code of that failure. */
  code: FailureCode | null;
  /** Parameters that would be dropped. */
  dropped: string[];
}

export interface Explanation {
  /** `namespace/name` of the key, or null for a caller without a usable key. */
  key: string | null;
  user: string | null;
  operation: string | null;
  /** The requested model, after the policy's edits. */
  model: string | null;
  route: string | null;
  /** The failure that the caller would get at once; null if a target would be asked. */
  failure: { status: number; code: string; message: string } | null;
  routes: RouteReport[];
  rules: RuleReport[];
  targets: TargetReport[];
}

const headerOf = (headers: ExplainRequest["headers"], name: string): string | null =>
  Object.hasOwn(headers, name) ? (headers[name] ?? null) : null;

const told = (failed: Failure): Explanation["failure"] => ({
  status: failures[failed.code].status,
  code: failed.code,
  message: failed.message,
});

function notOffered(one: Route, identity: Identity): string {
  if (!identity.anonymous) return `not offered to namespace ${identity.namespace}`;
  return one.config.access.anonymous ? "not offered to the namespace of this key" : "needs a key";
}

function whyNot(one: Route, path: PathEntry, model: string | null, identity: Identity, chosen: Route | null): string {
  if (!path.routes.includes(one)) return `serves under ${one.config.pathPrefix || "/v1"}`;
  const claims = one.config.models === null || (model !== null && listsModel(one.config.models, model));
  if (!claims && model === null) return "serves named models, and the request names none";
  if (!claims) return `serves ${(one.config.models ?? []).join(", ")}, not ${model}`;
  if (!offeredTo(one, identity)) return notOffered(one, identity);
  if (chosen !== null && chosen.config.models !== null && one.config.models === null)
    return `takes any model, but ${chosen.config.id} names this one`;
  if (chosen === null) return "its model is not settled without a name";
  return model !== null && !one.config.models?.includes(model)
    ? `${chosen.config.id} comes first: it names the model, or has a longer pattern`
    : `${chosen.config.id} comes first`;
}

function routeReports(
  snapshot: Snapshot,
  path: PathEntry,
  model: string | null,
  identity: Identity,
  chosen: Route | null,
): RouteReport[] {
  const all = [...snapshot.paths.values()].flatMap((one) => one.routes);
  return all
    .map((one) => {
      const why = one === chosen ? chosenWhy(one, model) : whyNot(one, path, model, identity, chosen);
      return { route: one.config.id, chosen: one === chosen, why };
    })
    .sort((a, b) => Number(b.chosen) - Number(a.chosen) || (a.route < b.route ? -1 : 1));
}

function chosenWhy({ config: { models } }: Route, model: string | null): string {
  const named = models === null ? [] : model === null || models.includes(model) ? [] : models.filter(isModelPattern);
  const pattern = named
    .map(modelPattern)
    .sort(byPrecision)
    .find((one) => matchesPattern(one, model ?? ""));
  const by =
    pattern === undefined ? `names ${model ?? models?.join(", ")}` : `has ${pattern.text}, which matches ${model}`;
  return `${models === null ? "takes any model" : by}, and is offered to this caller`;
}

function ruleReports(plan: PlanRequest): RuleReport[] {
  let decided = false;
  return plan.route.config.routing.rules.map(({ when }, index) => {
    const holdsAll = matchesRule(when, plan);
    const decides = holdsAll && !decided;
    const why = decides
      ? "every condition holds"
      : holdsAll
        ? "an earlier rule decides"
        : `does not match: ${unmet(when, plan).join(", ")}`;
    decided ||= decides;
    return { rule: index + 1, decides, why };
  });
}

function attempt(
  shaped: Shaped,
  target: ResolvedTarget,
  nowMs: number,
): Pick<TargetReport, "refuses" | "code" | "dropped"> {
  const prepared = prepare(shaped.forTarget(target.config), target, {
    requestId: "explain",
    nowMs,
    deadlineMs: target.entry.account.config.timeouts.totalMs,
    forwarded: {},
  });
  return "outgoing" in prepared
    ? { refuses: null, code: null, dropped: prepared.dropped }
    : { refuses: prepared.message, code: prepared.code, dropped: [] };
}

function targetReports(shaped: Shaped, plan: PlanRequest, rules: readonly RuleReport[], nowMs: number): TargetReport[] {
  const rule = rules.find((rule) => rule.decides)?.rule ?? null;
  // Shows a canary at the position that it has for most requests.
  const luck = plan.route.config.routing.canary === null ? 0 : 0.999_999;
  const order = createRouting({ nowMs: () => nowMs, random: () => luck }).plan(plan);
  const reports = plan.route.targets.map((target): TargetReport => {
    const resolved = plan.targets.find((one) => one.config.name === target.config.name);
    const at = order.findIndex((one) => one.config.name === target.config.name);
    const placed = at >= 0 && resolved !== undefined;
    const small = placed && !holds(resolved, plan) ? "; no target's context can hold the prompt" : "";
    return {
      target: target.config.name,
      provider: target.config.provider,
      upstreamModel: resolved?.model.config.upstream ?? null,
      place: placed ? at + 1 : null,
      why: placed
        ? placedBy(resolved, plan, rule) + inSession(resolved, order[0], plan) + small
        : leftOut(target, resolved, plan, rule),
      ...(resolved === undefined ? { refuses: null, code: null, dropped: [] } : attempt(shaped, resolved, nowMs)),
    };
  });
  return reports.sort((a, b) => (a.place ?? Number.POSITIVE_INFINITY) - (b.place ?? Number.POSITIVE_INFINITY) || 0);
}

class Explainer {
  readonly #snapshot: Snapshot;
  readonly #request: ExplainRequest;
  readonly #nowMs: number;
  readonly #out: Explanation;

  constructor(snapshot: Snapshot, request: ExplainRequest, nowMs: number) {
    this.#snapshot = snapshot;
    this.#request = request;
    this.#nowMs = nowMs;
    const key = request.identity.anonymous ? null : request.identity.key;
    this.#out = {
      key: key?.id ?? null,
      user: key?.user ?? null,
      operation: null,
      model: null,
      route: null,
      failure: null,
      routes: [],
      rules: [],
      targets: [],
    };
  }

  run(): Explanation {
    const { identity, path } = this.#request;
    const found = address("POST", path, this.#snapshot);
    const failed = isFailure(found)
      ? found
      : this.#addressed(addressFor(identity, found, "POST", path, this.#snapshot));
    if (failed) this.#out.failure = told(failed);
    return this.#out;
  }

  #addressed({ path, operation }: Addressed): Failure | null {
    const { identity } = this.#request;
    const format = formatOf(operation);
    this.#out.operation = format;
    const received = parseBody(this.#request.body);
    if (isFailure(received)) return received;
    this.#out.model = received.model;
    const routed =
      identity.anonymous && !offersTo(path, identity) ? identity.failure : route(path, received.model, identity);
    const chosen = isFailure(routed) ? null : routed.route;
    this.#out.routes = routeReports(this.#snapshot, path, received.model, identity, chosen);
    if (isFailure(routed)) return routed;
    this.#out.route = routed.route.config.id;
    const { headers, address: from, country } = this.#request;
    const call = {
      address: from,
      country: () => country,
      header: (name: string) => headerOf(headers, name),
      nowMs: this.#nowMs,
    };
    const authorised = authorise({ routed, received, format, identity, from: call, roles: this.#snapshot.roles });
    if (isFailure(authorised)) return authorised;
    const masked = unmasked(authorised, received);
    const shaped = shape(masked, { routed: authorised, format, identity, nowMs: this.#nowMs });
    if (isFailure(shaped)) return shaped;
    this.#out.model = shaped.model;
    return this.#targets(shaped, routed.route);
  }

  #targets(shaped: Shaped, chosen: Route): Failure | null {
    const { identity, headers, promptTokens, outputTokens, batchSize } = this.#request;
    const header = (name: string): string | null => headerOf(headers, name);
    const session = sessionOf(header, [chosen.config.sessionHeader ?? ""], shaped.received.json);
    const plan = planRequest(shaped, chosen, resolveTargets(chosen, shaped.model), identity, { header }, session);
    if (promptTokens !== null) plan.promptTokens = () => promptTokens;
    if (outputTokens !== null) plan.outputTokens = () => outputTokens;
    if (batchSize !== null) plan.batchSize = batchSize;
    this.#out.rules = ruleReports(plan);
    this.#out.targets = targetReports(shaped, plan, this.#out.rules, this.#nowMs);
    if (plan.targets.length === 0) return noTarget(chosen, shaped.model);
    const [first] = this.#out.targets;
    if (first === undefined || first.place === null) return noTargetByRule;
    return first.refuses === null || first.code === null ? null : failure(first.code, first.refuses);
  }
}

export function explainCall(snapshot: Snapshot, request: ExplainRequest, nowMs: number): Explanation {
  return new Explainer(snapshot, request, nowMs).run();
}
