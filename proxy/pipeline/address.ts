/** Stage: which operation a method and path mean, and under which prefix. Answers 404 and 405 before any work. */
import type { Identity } from "../call/identity.ts";
import type { WireFormat } from "../config/capabilities.ts";
import type { SurfaceName } from "../dialects/dialect.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import type { PathEntry, Snapshot } from "../snapshot/snapshot.ts";
import { socketMethod } from "./open-socket.ts";
import { type ResourceOperation, resourceMethods, resourceOperation } from "./resource-paths.ts";
import { offersTo } from "./route.ts";
import { unknownUrlHint } from "./unknown-url.ts";

export type Operation =
  /** `compacts`: the caller asks for a shorter form of the conversation. */
  | { kind: "generate"; format: WireFormat; compacts?: true }
  | { kind: "models"; id: string | null }
  | { kind: "countTokens"; format: WireFormat }
  | { kind: "socket" }
  | { kind: "mint" }
  | { kind: "usage" }
  | ResourceOperation;

/** The body's format. */
export const formatOf = (operation: Operation): WireFormat =>
  "format" in operation ? operation.format : "anthropic.messages";

export interface Addressed {
  readonly path: PathEntry;
  readonly operation: Operation;
  readonly surface: SurfaceName;
  /** The model, if the path names it; then the body's is ignored. */
  readonly deployment: string | null;
}

/** Paths below the prefix (or /v1), as an SDK with that base URL requests them. */
const posts: Readonly<Record<string, Operation>> = {
  "/chat/completions": { kind: "generate", format: "openai.chat" },
  "/completions": { kind: "generate", format: "openai.completions" },
  "/embeddings": { kind: "generate", format: "openai.embeddings" },
  "/responses": { kind: "generate", format: "openai.responses" },
  "/messages": { kind: "generate", format: "anthropic.messages" },
  "/messages/count_tokens": { kind: "countTokens", format: "anthropic.messages" },
  "/images/generations": { kind: "generate", format: "openai.images" },
  "/images/edits": { kind: "generate", format: "openai.image_edits" },
  "/images/variations": { kind: "generate", format: "openai.image_variations" },
  "/audio/speech": { kind: "generate", format: "openai.speech" },
  "/audio/transcriptions": { kind: "generate", format: "openai.transcriptions" },
  "/audio/translations": { kind: "generate", format: "openai.translations" },
  "/moderations": { kind: "generate", format: "openai.moderations" },
  "/rerank": { kind: "generate", format: "cohere.rerank" },
  "/responses/compact": { kind: "generate", format: "openai.responses", compacts: true },
  "/responses/input_tokens": { kind: "countTokens", format: "openai.responses" },
};
/** The gateway's own endpoints, under /v1 only. */
const mint: Operation = { kind: "mint" };
const usage: Operation = { kind: "usage" };
const socket: Operation = { kind: "socket" };
const bare: Operation = { kind: "generate", format: "openai.chat" };

interface Below {
  /** The path below the base URL. */
  rest: string;
  deployment: string | null;
}

/**
 * SDKs of Azure put `/openai` before the path, and the model's name into it
 * (https://learn.microsoft.com/azure/ai-foundry/openai/reference#rest-api-versioning).
 */
const azurePath = /^\/openai(?:\/v1)?(?:\/deployments\/([^/]+))?(\/.*)$/;

function azureBelow(path: string): Below | null {
  const [, name, rest = ""] = azurePath.exec(path) ?? [];
  if (rest === "") return null;
  try {
    return { rest, deployment: name === undefined ? null : decodeURIComponent(name) };
  } catch {
    return null;
  }
}

/** Cohere's SDKs ask for version 2 of its API. */
const cohereRerank = "/v2/rerank";

function below(rest: string): Below {
  if (rest === cohereRerank) return { rest: "/rerank", deployment: null };
  if (rest.startsWith("/v1/")) return { rest: rest.slice(3), deployment: null };
  const own = { rest, deployment: null };
  return rest.startsWith("/openai/") ? (azureBelow(rest) ?? own) : own;
}

/** Returns the longest prefix for which `wanted` is true. */
function split(
  path: string,
  snapshot: Snapshot,
  wanted: (entry: PathEntry) => boolean,
): (Below & { entry: PathEntry }) | null {
  for (const prefix of snapshot.prefixes) {
    if (!path.startsWith(prefix)) continue;
    const rest = path.slice(prefix.length);
    const entry = snapshot.paths.get(prefix);
    if (entry && (rest === "" || rest.startsWith("/")) && wanted(entry)) return { entry, ...below(rest) };
  }
  const entry = snapshot.paths.get("");
  return entry && (path === cohereRerank || /^\/(v1|openai)\//.test(path)) ? { entry, ...below(path) } : null;
}

function models(rest: string): Operation | null {
  if (rest === "/models") return { kind: "models", id: null };
  if (!rest.startsWith("/models/")) return null;
  try {
    return { kind: "models", id: decodeURIComponent(rest.slice("/models/".length)) };
  } catch {
    return null;
  }
}

function gets(rest: string, underPrefix: boolean): Operation | null {
  return !underPrefix && rest === "/sluice/usage" ? usage : models(rest);
}

function operationOf(method: string, rest: string, underPrefix: boolean): Operation | "method" | null {
  const post =
    posts[rest] ??
    (underPrefix ? (rest === "" || rest === "/" ? bare : null) : rest === "/sluice/tokens" ? mint : null);
  if (post) return method === "POST" ? post : "method";
  const get = gets(rest, underPrefix);
  if (get) return method === "GET" || method === "HEAD" ? get : "method";
  return resourceOperation(method, rest);
}

const operationAt = (method: string, rest: string, underPrefix: boolean): ReturnType<typeof operationOf> =>
  method === socketMethod && rest === "/responses"
    ? socket
    : operationOf(method === socketMethod ? "GET" : method, rest, underPrefix);

/** Methods allowed on a path that exists, for a caller who used another. */
export function allowedAt(path: string): readonly string[] {
  const below = path.lastIndexOf("/v1/");
  const rest = below < 0 ? path : path.slice(below + 3);
  return resourceMethods(rest) ?? (/\/(models(\/[^/]*)?|sluice\/usage)$/.test(rest) ? ["GET", "HEAD"] : ["POST"]);
}

function surfaceFor(operation: Operation): SurfaceName {
  if (operation.kind === "socket") return "responses";
  if (!("format" in operation)) return "openai";
  if (operation.format === "anthropic.messages") return "anthropic";
  return operation.format === "openai.responses" ? "responses" : "openai";
}

/** Resolved paths. Clients use few, so each is resolved once per snapshot. */
const resolved = new WeakMap<Snapshot, Map<string, Addressed>>();
const maxResolved = 256;
const maxResolvedLength = 128;

/** The address of a call before its caller is known. */
export function address(method: string, path: string, snapshot: Snapshot): Addressed | Failure {
  if (method !== "POST" || path.length > maxResolvedLength) return addressBy(method, path, snapshot, () => true);
  let cached = resolved.get(snapshot);
  if (cached === undefined) resolved.set(snapshot, (cached = new Map()));
  const before = cached.get(path);
  if (before !== undefined) return before;
  const addressed = addressBy(method, path, snapshot, () => true);
  if (isFailure(addressed)) return addressed;
  if (cached.size >= maxResolved) cached.clear();
  cached.set(path, addressed);
  return addressed;
}

/** `wanted`: for an authenticated caller, selects the prefixes that serve its kind of caller. */
function addressBy(
  method: string,
  path: string,
  snapshot: Snapshot,
  wanted: (entry: PathEntry) => boolean,
): Addressed | Failure {
  const addressed = split(path, snapshot, wanted);
  const operation = addressed && operationAt(method, addressed.rest, addressed.entry.prefix !== "");
  if (!addressed || !operation) return failure("unknown_url", unknownUrlHint(path));
  if (operation === "method")
    return failure(
      "method_not_allowed",
      `${method.slice(0, 16)} is not allowed here. Use ${allowedAt(path).join(" or ")}.`,
    );
  return { path: addressed.entry, operation, surface: surfaceFor(operation), deployment: addressed.deployment };
}

/**
 * Resolves the address for a caller: if nothing under the longest prefix is offered to it, a shorter prefix applies.
 * The operator never publishes overlapping prefixes of two namespaces, but a proxy does not rely on that.
 */
export function addressFor(
  identity: Identity,
  addressed: Addressed,
  method: string,
  path: string,
  snapshot: Snapshot,
): Addressed {
  if (addressed.path.prefix === "" || offersTo(addressed.path, identity)) return addressed;
  const other = addressBy(method, path, snapshot, (entry) => offersTo(entry, identity));
  return isFailure(other) ? addressed : other;
}
