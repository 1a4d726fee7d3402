/**
 * Explains what would happen to a request, and why. It uses the same predicates that serve calls. Nothing is sent, and
 * every provider is assumed to be healthy.
 */
import type { Buffer } from "node:buffer";
import type { Identity } from "../call/identity.ts";
import { parseBody, parseFormBody, type Received, withModel } from "../call/received.ts";
import { sessionOf, usualSessionHeader } from "../call/session.ts";
import type { Shaped } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import { allowsModel, byPrecision, isModelPattern, matchesPattern, modelPattern } from "../config/model-pattern.ts";
import { type Failure, failure, failures, isFailure } from "../failure.ts";
import { mediaFormat } from "../media/registry.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { PathEntry, Route, Snapshot } from "../snapshot/snapshot.ts";
import { type Addressed, address, addressFor, formatOf } from "./address.ts";
import { authorise } from "./checks.ts";
import { unopened, withSummaries } from "./compaction.ts";
import { admitUnused } from "./explain-admission.ts";
import {
  plannedOrder,
  possibleFirsts,
  type RuleReport,
  ruleReports,
  shadowReport,
  type TargetReport,
  targetReports,
} from "./explain-targets.ts";
import { unmasked } from "./mask.ts";
import { unrecorded } from "./on-record.ts";
import { CallPlan } from "./plan.ts";
import { formIn } from "./receive.ts";
import { modelAsRouted, noTarget, noTargetByRule, offeredTo, offersTo, resolveTargets, route } from "./route.ts";
import { type SessionReport, sessionReport } from "./session-time.ts";
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
  /** Prompt tokens that are in targets' prompt caches, by the target's name. */
  cachedTokens: ReadonlyMap<string, number>;
  /** Where the call comes from, and when. null if unknown, as behind an untrusted proxy. */
  address: string | null;
  country: string | null;
  /** Whether the installation can keep audit records safe; null if unknown. */
  durableAudit: boolean | null;
}

export interface RouteReport {
  route: string;
  chosen: boolean;
  why: string;
}

export interface Explanation {
  /** `namespace/name` of the key, or null for a caller without a usable key. */
  key: string | null;
  user: string | null;
  operation: string | null;
  /** The requested model, after the policy's edits. */
  model: string | null;
  route: string | null;
  /** The session that the call belongs to, and how long it may last; null if the call names none. */
  session: SessionReport | null;
  /** The failure that every such call would get at once; null if a target would be asked. */
  failure: { status: number; code: string; message: string } | null;
  /** Where the order is drawn or targets take turns: targets that would refuse the call if it came to them first. */
  sometimes: { target: string; status: number; code: string; message: string }[];
  routes: RouteReport[];
  rules: RuleReport[];
  targets: TargetReport[];
  /** The share of such calls that is copied, and to where; null if none is. */
  shadow: string | null;
}

const headerOf = (headers: ExplainRequest["headers"], name: string): string | null =>
  Object.hasOwn(headers, name) ? (headers[name] ?? null) : null;

const shownFailure = (failed: Failure): Explanation["failure"] => ({
  status: failures[failed.code].status,
  code: failed.code,
  message: failed.message,
});

function notOffered(route: Route, identity: Identity): string {
  if (!identity.anonymous) return `not offered to namespace ${identity.namespace}`;
  return route.config.access.anonymous ? "not offered to the namespace of this key" : "needs a key";
}

function whyNot(route: Route, path: PathEntry, model: string | null, identity: Identity, chosen: Route | null): string {
  if (!path.routes.includes(route)) return `serves under ${route.config.pathPrefix || "/v1"}`;
  const claims = allowsModel(route.config.models, model);
  if (!claims && model === null) return "serves named models, and the request names none";
  if (!claims) return `serves ${(route.config.models ?? []).join(", ")}, not ${model}`;
  if (!offeredTo(route, identity)) return notOffered(route, identity);
  if (chosen !== null && chosen.config.models !== null && route.config.models === null)
    return `takes any model, but ${chosen.config.id} names this one`;
  if (chosen === null) return "its model is not settled without a name";
  return model !== null && !route.config.models?.includes(model)
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
  const routes = [...snapshot.paths.values()].flatMap((path) => path.routes);
  return routes
    .map((route) => {
      const why = route === chosen ? chosenWhy(route, model) : whyNot(route, path, model, identity, chosen);
      return { route: route.config.id, chosen: route === chosen, why };
    })
    .sort((a, b) => Number(b.chosen) - Number(a.chosen) || (a.route < b.route ? -1 : 1));
}

function chosenWhy({ config: { models } }: Route, model: string | null): string {
  const named = models === null ? [] : model === null || models.includes(model) ? [] : models.filter(isModelPattern);
  const pattern = named
    .map(modelPattern)
    .sort(byPrecision)
    .find((pattern) => matchesPattern(pattern, model ?? ""));
  const by =
    pattern === undefined ? `names ${model ?? models?.join(", ")}` : `has ${pattern.text}, which matches ${model}`;
  return `${models === null ? "takes any model" : by}, and is offered to this caller`;
}

/** Applies the sizes given to the command in place of those estimated from the body. */
function applySizes(plan: CallPlan, { promptTokens, outputTokens, batchSize, cachedTokens }: ExplainRequest): void {
  plan.cachedTokens = ({ config }) => cachedTokens.get(config.name) ?? 0;
  if (promptTokens !== null) plan.promptTokens = () => promptTokens;
  if (outputTokens !== null) plan.outputTokens = () => outputTokens;
  if (batchSize !== null) plan.batchSize = batchSize;
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
      session: null,
      failure: null,
      sometimes: [],
      routes: [],
      rules: [],
      targets: [],
      shadow: null,
    };
  }

  async run(): Promise<Explanation> {
    const { identity, path } = this.#request;
    const addressed = address("POST", path, this.#snapshot);
    const failed = isFailure(addressed)
      ? addressed
      : await this.#addressed(addressFor(identity, addressed, "POST", path, this.#snapshot));
    if (failed) this.#out.failure = shownFailure(failed);
    return this.#out;
  }

  async #addressed(addressed: Addressed): Promise<Failure | null> {
    const { path, operation, deployment } = addressed;
    const { identity } = this.#request;
    const format = formatOf(operation);
    this.#out.operation = format;
    const body = this.#body(format);
    const received = isFailure(body) ? body : withModel(body, deployment);
    if (isFailure(received)) return received;
    this.#out.model = received.model;
    const routed =
      identity.anonymous && !offersTo(path, identity) ? identity.failure : route(path, received.model, identity);
    const chosen = isFailure(routed) ? null : routed.route;
    this.#out.routes = routeReports(this.#snapshot, path, received.model, identity, chosen);
    if (isFailure(routed)) return routed;
    this.#out.route = routed.route.config.id;
    const compacts = operation.kind === "generate" && operation.compacts === true;
    const opened = withSummaries(received, { format, compacts }, routed.route, identity, {
      ...{ summaries: unopened, roles: this.#snapshot.roles },
    });
    if (isFailure(opened)) return opened;
    const { headers, address: from, country } = this.#request;
    const call = {
      address: from,
      country: () => country,
      header: (name: string) => headerOf(headers, name),
      nowMs: this.#nowMs,
    };
    const authorised = authorise({
      routed,
      received: opened,
      format,
      identity,
      from: call,
      roles: this.#snapshot.roles,
    });
    if (isFailure(authorised)) return authorised;
    const masked = unmasked(authorised, opened);
    const shaped = shape(masked, { routed: authorised, format, identity, nowMs: this.#nowMs, compacts });
    if (isFailure(shaped)) return shaped;
    this.#out.model = shaped.model;
    if (routed.route.config.audit.required && this.#request.durableAudit === false) return unrecorded;
    return this.#targets(shaped, routed.route, addressed);
  }

  #body(format: WireFormat): Received | Failure {
    const { body, headers } = this.#request;
    const form = formIn(headerOf(headers, "content-type"), mediaFormat(format)?.body ?? "json");
    if (typeof form !== "string") return form;
    return form === "" ? parseBody(body, this.#snapshot.settings.bodyLimits) : parseFormBody(body, form);
  }

  async #targets(shaped: Shaped, chosen: Route, { operation, surface }: Addressed): Promise<Failure | null> {
    const { identity, headers, path } = this.#request;
    const header = (name: string): string | null => headerOf(headers, name);
    const session = sessionOf(
      { header },
      [chosen.config.sessionHeader ?? "", usualSessionHeader],
      shaped.received.json,
    );
    const plan = new CallPlan(shaped, chosen, resolveTargets(chosen, shaped.model), identity, { header }, session);
    applySizes(plan, this.#request);
    this.#out.rules = ruleReports(plan);
    const order = plannedOrder(plan, this.#nowMs);
    const [likely] = plan.targets;
    const model = likely === undefined ? "" : modelAsRouted(chosen, shaped.model, likely);
    const subject = { route: chosen, identity, model, targets: plan.targets };
    this.#out.session = session === "" ? null : sessionReport(session, subject, this.#snapshot, this.#nowMs);
    const admitted =
      likely === undefined || operation.kind !== "generate"
        ? order
        : await admitUnused(
            {
              ...{ path, surface, snapshot: this.#snapshot, route: chosen, identity, shaped, session },
              model,
            },
            order,
            this.#nowMs,
          );
    const kept = { order, admitted: isFailure(admitted) ? order : admitted };
    this.#out.shadow = shadowReport(chosen, shaped, this.#nowMs);
    this.#out.targets = targetReports(shaped, plan, kept, this.#out.rules, this.#nowMs);
    if (plan.targets.length === 0) return noTarget(chosen, shaped.model);
    if (isFailure(admitted)) return admitted;
    if (order.length === 0) return noTargetByRule;
    const [first] = this.#out.targets;
    if (first === undefined || first.place === null) return noTargetByRule;
    return this.#refusal(possibleFirsts(plan, kept.admitted, this.#nowMs));
  }

  /** A failure only if each of the targets that may come first refuses the call. */
  #refusal(firsts: ReadonlySet<ResolvedTarget>): Failure | null {
    const names = new Set([...firsts].map(({ config }) => config.name));
    const refusals = this.#out.targets.flatMap(({ target, code, refuses }) =>
      code === null || refuses === null || !names.has(target) ? [] : [{ target, failed: failure(code, refuses) }],
    );
    if (refusals.length === names.size) return refusals[0]?.failed ?? null;
    this.#out.sometimes = refusals.map(({ target, failed }) => ({
      target,
      status: failures[failed.code].status,
      code: failed.code,
      message: failed.message,
    }));
    return null;
  }
}

export function explainCall(snapshot: Snapshot, request: ExplainRequest, nowMs: number): Promise<Explanation> {
  return new Explainer(snapshot, request, nowMs).run();
}
