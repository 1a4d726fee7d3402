/** All LLMProviders → the providers that are live, each in its own or its last good form, and a verdict for each. */
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import { byId, indexById } from "./by-id.ts";
import { fitProviders } from "./fit.ts";
import type { CompileMemo } from "./memo.ts";
import { compileObjectAlerts, type ObjectAlertWatch } from "./object-alerts.ts";
import { idOf, isError, namespaceOf, type ParsedObject, parseKind, problem } from "./outcome.ts";
import { poolConditions } from "./pool.ts";
import { checkPrivate, mayBePrivate } from "./private-endpoints.ts";
import { providerDoubts } from "./provider-doubts.ts";
import type { ProviderView } from "./provider-view.ts";
import { compileProvider } from "./providers.ts";
import type { VerdictDraft } from "./verdict.ts";
import { mayUseIdentity } from "./workload-identity.ts";
import type { CompileInput, World, WorldObject } from "./world.ts";

/** Replaces an object by its last good form, if there is one. */
function fallBack<T extends { id: string }>(
  verdict: VerdictDraft,
  previous: ReadonlyMap<string, T>,
  into: Map<string, T>,
): void {
  const last = previous.get(idOf(verdict.meta));
  if (last === undefined) return;
  into.set(last.id, last);
  verdict.live = "lastGood";
}

/** An unknown price never counts as zero: the status names the models that have none. */
function unpriced(provider: ProviderConfig): VerdictDraft["conditions"] {
  const without = Object.keys(provider.models).filter((name) => provider.models[name]?.price === null);
  if (without.length === 0) return [];
  const names = `${without.slice(0, 16).join(", ")}${without.length > 16 ? ` and ${without.length - 16} more` : ""}`;
  return [
    {
      type: "PriceUnknown",
      status: "True",
      reason: "PriceUnknown",
      message: `no price is known for ${names}; set price in spec.models`,
    },
  ];
}

/** It depends on time, not on the object's form. A warning is reported only once per form, so it isn't enough. */
function expired(verdict: VerdictDraft): VerdictDraft["conditions"] {
  const type = "CertificateExpired";
  return verdict.resolvedRefs
    .filter(({ reason }) => reason === type)
    .map(({ message }) => ({ type, status: "True", reason: type, message }));
}

/** Status fields of a provider for the form that is served. */
function noteServing(verdict: VerdictDraft, serving: ProviderConfig | undefined, world: World): void {
  if (serving) verdict.conditions.push(...unpriced(serving), ...expired(verdict), ...poolConditions(serving, world));
  verdict.status =
    serving === undefined ? { models: 0 } : { models: Object.keys(serving.models).length, endpoint: serving.endpoint };
}

export interface CompiledProviders extends ProviderView {
  live: Map<string, ProviderConfig>;
  alertWatches: ObjectAlertWatch[];
  /** As compiled, whether or not they are live. */
  compiled: ProviderConfig[];
  verdicts: VerdictDraft[];
}

type Declared = Readonly<Record<string, Capabilities>>;

/** Published forms of providers. What is no longer permitted does not return as a last good form either. */
const publishedProviders = ({ previous, settings }: CompileInput): ReadonlyMap<string, ProviderConfig> =>
  indexById(
    previous?.providers.filter(
      ({ id, allowPrivateEndpoint, identity }) =>
        (!allowPrivateEndpoint || mayBePrivate(namespaceOf(id), settings)) &&
        (identity === undefined || mayUseIdentity(namespaceOf(id), identity, settings)),
    ),
  );

/** The provider's form, valid or not; null if this version has no such type. */
function compileInto(
  verdict: VerdictDraft,
  object: ParsedObject<"LLMProvider">,
  input: CompileInput,
  capabilities: Declared,
): ProviderConfig | null {
  const { type } = object.spec;
  const declared = capabilities[type];
  if (declared === undefined) {
    verdict.accepted.push(problem("Unsupported", `this version has no provider type ${type}`, ["spec", "type"]));
    return null;
  }
  const compiled = compileProvider(object, declared, input);
  verdict.accepted = [
    ...checkPrivate(object, input.settings),
    ...providerDoubts(object, capabilities, input.nowMs),
    ...compiled.accepted,
  ];
  verdict.resolvedRefs = compiled.resolvedRefs;
  if (![...verdict.accepted, ...compiled.resolvedRefs].some(isError)) verdict.live = "current";
  return compiled.config;
}

export function compileProviders(
  objects: readonly WorldObject[],
  input: CompileInput,
  capabilities: Declared,
  memo: CompileMemo,
): CompiledProviders {
  const previous = publishedProviders(input);
  const { parsed, invalid } = parseKind("LLMProvider", objects, memo.providerSpecs);
  const live = new Map<string, ProviderConfig>();
  const grants = new Map<string, ReturnType<ProviderView["grants"]["get"]> & object>();
  const alertWatches: (ObjectAlertWatch | null)[] = [];
  const attempted: ProviderConfig[] = [];
  for (const { object, verdict } of parsed) {
    grants.set(object.id, object.spec.allowedNamespaces);
    const config = compileInto(verdict, object, input, capabilities);
    if (config !== null) attempted.push(config);
    if (config !== null && verdict.live === "current") live.set(object.id, config);
    alertWatches.push(compileObjectAlerts(object, input.world, input.settings.hasMail ?? true, verdict));
  }
  const verdicts = [...parsed.map(({ verdict }) => verdict), ...invalid];
  for (const verdict of verdicts) if (verdict.live === "none") fallBack(verdict, previous, live);
  const interned = memo.providers.of([...live.values()].sort(byId)).map((config) => [config.id, config] as const);
  const fitting = fitProviders(verdicts, new Map(interned), previous, input.world.secrets);
  for (const verdict of verdicts) noteServing(verdict, fitting.get(idOf(verdict.meta)), input.world);
  return {
    live: fitting,
    grants,
    capabilities,
    existing: new Set(verdicts.map((verdict) => idOf(verdict.meta))),
    alertWatches: alertWatches.filter((watch) => watch !== null),
    compiled: attempted,
    verdicts,
  };
}
