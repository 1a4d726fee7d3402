/** GET models: lists what this caller may use, by the same predicate that calls use. */

import type { Circumstances } from "../access/rules.ts";
import type { Identity } from "../call/identity.ts";
import { type Failure, failure } from "../failure.ts";
import type { PathEntry, Route, Snapshot } from "../snapshot/snapshot.ts";
import { denyByLocation } from "./circumstances.ts";
import { denyByRoleOrModel, modelNames, offeredTo, resolveTargets, route as routeOf } from "./route.ts";

/** Sizes in tokens, where they are known: those of the first target. */
interface ListedModel {
  id: string;
  context: number | null;
  output: number | null;
}

function listed(route: Route, id: string): ListedModel {
  const target = resolveTargets(route, id)[0];
  const config = target?.model.config;
  return {
    id,
    context: config?.contextTokens ?? config?.price?.windowTokens ?? null,
    output: config?.maxOutputTokens ?? target?.entry.provider.maxOutput?.(target.model) ?? null,
  };
}

/** A model that a pattern matches may belong to another policy by name. */
function serves(path: PathEntry, route: Route, model: string, identity: Identity): boolean {
  if (route.config.models === null || route.config.models.includes(model)) return true;
  const routed = routeOf(path, model, identity);
  return "route" in routed && routed.route === route;
}

function callable(path: PathEntry, identity: Identity, call: Circumstances, roles: Snapshot["roles"]): ListedModel[] {
  const models = new Map<string, ListedModel>();
  for (const route of path.routes) {
    if (!offeredTo(route, identity) || denyByLocation(route, call) !== null) continue;
    for (const name of modelNames(route))
      if (
        !models.has(name) &&
        serves(path, route, name, identity) &&
        denyByRoleOrModel(route, name, identity, roles) === null
      )
        models.set(name, listed(route, name));
  }
  return [...models.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

const openAiModel = ({ id, context, output }: ListedModel): object => ({
  id,
  object: "model",
  created: 0,
  owned_by: "sluice",
  ...(context === null ? {} : { context_window: context }),
  ...(output === null ? {} : { max_output_tokens: output }),
});

/** https://platform.claude.com/docs/en/api/models/list */
const anthropicModel = ({ id, context, output }: ListedModel): object => ({
  type: "model",
  id,
  display_name: id,
  created_at: "1970-01-01T00:00:00Z",
  ...(context === null ? {} : { max_input_tokens: context }),
  ...(output === null ? {} : { max_tokens: output }),
});

/** One page of a list, as Anthropic's cursors select it. */
function anthropicPage(models: readonly ListedModel[], url: string): object {
  const query = new URLSearchParams(url.includes("?") ? url.slice(url.indexOf("?") + 1) : "");
  const requested = Number(query.get("limit") ?? 20);
  const limit = Number.isSafeInteger(requested) && requested >= 1 ? Math.min(requested, 1_000) : 20;
  const place = (name: string): number => models.findIndex((model) => model.id === query.get(name));
  const after = place("after_id");
  const before = place("before_id");
  const end = before < 0 ? models.length : before;
  const from = before < 0 ? after + 1 : Math.max(0, end - limit);
  const page = models.slice(from, Math.min(end, from + limit));
  return {
    data: page.map(anthropicModel),
    has_more: before < 0 ? from + limit < models.length : from > 0,
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null,
  };
}

export interface ModelsQuestion {
  path: PathEntry;
  identity: Identity;
  from: Circumstances;
  roles: Snapshot["roles"];
  /** null for the list. */
  id: string | null;
  /** Path and query. */
  url: string;
  /** Whether the caller uses Anthropic's SDK. */
  isAnthropic: boolean;
}

export function listModels({ path, identity, from, roles, id, url, isAnthropic }: ModelsQuestion): object | Failure {
  const models = callable(path, identity, from, roles);
  const form = isAnthropic ? anthropicModel : openAiModel;
  if (id === null) return isAnthropic ? anthropicPage(models, url) : { object: "list", data: models.map(form) };
  const listed = models.find((model) => model.id === id);
  return listed === undefined
    ? failure("model_not_found", "The model does not exist here or this key may not use it.", { param: "model" })
    : form(listed);
}
