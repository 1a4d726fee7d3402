/** Files, batches and fine-tuning: streamed through to the one provider that keeps them, both ways, without a look inside. */
import { Buffer } from "node:buffer";
import { Transform } from "node:stream";
import type { Circumstances } from "../access/rules.ts";
import type { Identity } from "../call/identity.ts";
import { type Failure, failure } from "../failure.ts";
import type { AuthEnvironment, Outgoing } from "../providers/provider.ts";
import type { PathEntry, ProviderEntry, Role, Route } from "../snapshot/snapshot.ts";
import { causeOf, tokenCauseOf } from "../wire/causes.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { ResponseHeaders, UpstreamErrorKind, Upstreams } from "../wire/upstream.ts";
import type { Admitted } from "./admit.ts";
import { denyByOrigin } from "./circumstances.ts";
import type { OnRecord, Unambiguous } from "./proof.ts";
import { noToken, parseLoosely, toFailure } from "./provider-error.ts";
import { type ResourceOperation, resourceQuery } from "./resource-paths.ts";
import { denyByPolicyScope, missingPermission, offeredTo, resident } from "./route.ts";

/** A file at OpenAI is at most this large. */
const maxUploadBytes = 536_870_912;
const maxErrorBytes = 65_536;

const notServed = failure(
  "unknown_url",
  "No policy of yours passes this through. Ask the platform team for one with spec.resources.",
);

export interface ResourceTarget {
  route: Route;
  entry: ProviderEntry;
}

/** Which policy serves it, and whether this caller may. */
export function resourceTarget(
  operation: ResourceOperation,
  path: PathEntry,
  identity: Identity,
  call: Circumstances,
  roles: ReadonlyMap<string, Role>,
): ResourceTarget | Failure {
  if (identity.anonymous) return identity.failure;
  const route = path.routes.find(
    (one) =>
      one.resources !== null && one.config.resources?.kinds.includes(operation.resource) && offeredTo(one, identity),
  );
  if (route?.resources == null || !resident(route, route.resources)) return notServed;
  return (
    missingPermission(identity, "fine_tune_models", roles) ??
    denyByPolicyScope(route, identity) ??
    denyByOrigin(route, call) ?? { route, entry: route.resources }
  );
}

/** Fails as soon as more has come than may. */
function limited(maxBytes: number): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > maxBytes) done(new TooLargeError());
      else done(null, chunk);
    },
  });
}

class TooLargeError extends Error {
  override readonly name = "TooLargeError";
}

const tooLarge = failure("request_too_large", `The upload is larger than ${maxUploadBytes} bytes. Send a smaller one.`);

/** Without the body, which no signature covers at providers that have these. */
function outgoingOf(
  client: ClientConnection,
  operation: ResourceOperation,
  path: string,
  forwarded: Record<string, string>,
): Outgoing {
  const headers = { ...forwarded };
  for (const name of operation.method === "POST" ? ["content-type", "content-length"] : []) {
    const value = client.header(name);
    if (value !== null) headers[name] = value;
  }
  return { method: operation.method, path: path + resourceQuery(client.url), headers, body: null };
}

async function authorized(
  outgoing: Outgoing,
  entry: ProviderEntry,
  auth: AuthEnvironment,
): Promise<Outgoing | Failure> {
  try {
    return await entry.provider.authorize(outgoing, entry.account, auth);
  } catch (thrown) {
    const cause = tokenCauseOf(thrown);
    return toFailure(noToken(cause), cause);
  }
}

export interface ResourceEnvironment {
  upstreams: Pick<Upstreams, "send">;
  auth: AuthEnvironment;
  /** Headers that pass on to the provider. */
  forwarded: Record<string, string>;
  /** What has to be there before the provider is asked. */
  admitted: Admitted;
  onRecord: OnRecord;
  nowMs(): number;
  /** For the whole exchange, in milliseconds. */
  totalMs: number;
}

/** null where the answer went through, whatever its status within 2xx. */
export async function passThrough(
  client: Unambiguous,
  operation: ResourceOperation,
  { entry, route }: ResourceTarget,
  environment: ResourceEnvironment,
): Promise<Failure | null> {
  const path = entry.provider.resourcePath?.(operation.path, entry.account) ?? null;
  if (path === null) return notServed;
  if (Number(client.header("content-length") ?? 0) > maxUploadBytes) return tooLarge;
  const outgoing = await authorized(
    outgoingOf(client, operation, path, environment.forwarded),
    entry,
    environment.auth,
  );
  if ("code" in outgoing) return outgoing;
  const body = operation.method === "POST" ? client.bodyStream(limited(maxUploadBytes)) : null;
  return new Promise((resolve) => {
    const exchange = new Exchange(client, entry, route, environment, resolve);
    body?.once("error", (cause) => {
      if (cause instanceof TooLargeError) exchange.refuse(tooLarge);
    });
    exchange.begin(environment.upstreams.send(entry.address, { ...outgoing, body }, exchange));
  });
}

class Exchange {
  readonly #client: ClientConnection;
  readonly #entry: ProviderEntry;
  readonly #route: Route;
  readonly #environment: ResourceEnvironment;
  readonly #resolve: (outcome: Failure | null) => void;
  readonly #timer: NodeJS.Timeout;
  #call: { abort(): void; resume(): void } | null = null;
  #over = false;
  #status = 0;
  #headers: ResponseHeaders = {};
  /** Of an answer that tells of a failure: its body, and how long that is. */
  readonly #error: Buffer[] = [];
  #errorBytes = 0;

  constructor(
    client: ClientConnection,
    entry: ProviderEntry,
    route: Route,
    environment: ResourceEnvironment,
    resolve: (outcome: Failure | null) => void,
  ) {
    this.#client = client;
    this.#entry = entry;
    this.#route = route;
    this.#environment = environment;
    this.#resolve = resolve;
    this.#timer = setTimeout(
      () => this.refuse(failure("upstream_timeout", "The provider did not answer in time. Try again later.")),
      environment.totalMs,
    );
  }

  begin(call: { abort(): void; resume(): void }): void {
    this.#call = call;
    this.#client.onClose(() => this.#settle(failure("client_closed_request", "The client went away.")));
    this.#client.onInterrupt(() => this.refuse(failure("draining", "The gateway is being restarted. Try again.")));
  }

  get #isOk(): boolean {
    return this.#status >= 200 && this.#status < 300;
  }

  head(status: number, headers: ResponseHeaders): void {
    this.#status = status;
    this.#headers = headers;
    if (!this.#isOk) return;
    const out: Record<string, string | number> = {
      "x-request-id": this.#client.requestId,
      "x-provider-used": this.#entry.account.config.id.split("/")[1] ?? "",
    };
    for (const name of ["content-type", "content-length", "content-disposition"]) {
      const value = headers[name];
      if (typeof value === "string") out[name] = value;
    }
    this.#client.head(status, out);
  }

  data(chunk: Buffer): boolean {
    if (!this.#isOk) {
      if (this.#errorBytes < maxErrorBytes) this.#error.push(chunk);
      this.#errorBytes += chunk.length;
      return true;
    }
    if (this.#client.writeRaw(chunk)) return true;
    this.#client.onDrain(() => this.#call?.resume());
    return false;
  }

  end(): void {
    if (this.#isOk) {
      this.#client.end();
      this.#settle(null);
    } else this.#settle(this.#failed());
  }

  error(kind: UpstreamErrorKind, thrown: Error): void {
    const cause = causeOf(thrown, this.#status !== 0);
    const timedOut = kind === "connectTimeout" || kind === "writeTimeout";
    this.refuse(
      timedOut
        ? failure("upstream_timeout", "The provider took too long. Try again later.", { cause })
        : failure("upstream_unreachable", "The provider could not be reached. Try again later.", { cause }),
    );
  }

  /** An answer that has begun can only be cut. */
  refuse(failed: Failure): void {
    if (this.#over) return;
    if (this.#client.started) this.#client.destroy();
    this.#settle(failed);
  }

  #settle(outcome: Failure | null): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#client.onClose(null);
    this.#client.onInterrupt(null);
    this.#resolve(outcome);
    if (outcome !== null) this.#call?.abort();
  }

  /** What the caller did wrong is said in the provider's words; the rest as for any call. */
  #failed(): Failure {
    const error = this.#entry.provider.decodeError({
      status: this.#status,
      headers: this.#headers,
      body: parseLoosely(Buffer.concat(this.#error)),
      nowMs: this.#environment.nowMs(),
    });
    if (this.#status === 404)
      return failure(
        "resource_not_found",
        `The provider of policy ${this.#route.config.id} has nothing under this id.`,
      );
    return toFailure(error);
  }
}
