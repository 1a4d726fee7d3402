/** One exchange with the provider that keeps files, batches and jobs, streamed through or read whole. */
import { Buffer } from "node:buffer";
import type { Usage } from "../dialects/canonical.ts";
import { type Failure, failure, isFailure } from "../failure.ts";
import type { LineEditor } from "../ids/lines.ts";
import { type ResourceIds, unmarked } from "../ids/resource-ids.ts";
import type { AuthEnvironment } from "../providers/provider.ts";
import type { ProviderEntry, Route } from "../snapshot/snapshot.ts";
import { causeOf } from "../wire/causes.ts";
import type { ClientConnection } from "../wire/client.ts";
import { isObject, jsonIn } from "../wire/json.ts";
import type { ResponseHeaders, UpstreamErrorKind, Upstreams } from "../wire/upstream.ts";
import type { LaterRequests } from "./later-requests.ts";
import type { OnRecord } from "./proof.ts";
import { cleanHeaders, parseLoosely, toFailure } from "./provider-error.ts";
import type { Admitted } from "./reservation.ts";

const maxErrorBytes = 65_536;
/** Largest answer, in bytes, that is read whole: objects and lists of them. */
const maxAnswerBytes = 16_777_216;

export interface ResourceEnvironment {
  upstreams: Pick<Upstreams, "send">;
  auth: AuthEnvironment;
  /** Headers passed on to the provider. */
  forwarded: Record<string, string>;
  /** The proofs required before the provider is asked. */
  admitted: Admitted;
  onRecord: OnRecord;
  /** Seals and opens ids for the caller. If absent, ids pass unchanged. */
  ids?: ResourceIds;
  /** Called with the caller's own batches before they are sent to the caller. */
  readBatches?(batches: readonly unknown[]): Promise<void>;
  /** What the caller may have the provider run later. */
  later: Pick<LaterRequests, "model" | "lineModel" | "denied">;
  /** Set for batches of messages. */
  messageBatches?: MessageBatches;
  nowMs(): number;
  /** Takes or gives back memory for what is held of the request's body. Absent: there is no limit. */
  hold?(bytes: number): Failure | null;
  /** The slowest that a body may arrive; 0 for any. */
  minUploadBytesPerSecond: number;
  /** Limit for the whole exchange, in milliseconds. */
  totalMs: number;
}

/** The provider's answer, read whole. */
export interface WholeAnswer {
  headers: Record<string, string | number>;
  json: unknown;
}

/** Support for batches of messages: Anthropic's objects carry neither an owner's mark nor their usage. */
export interface MessageBatches {
  maxBodyBytes: number;
  /** Remembers that the caller made this batch. */
  note(id: string): void;
  isOwn(id: string): Promise<boolean>;
  /** Charges the usage in the results, once. */
  charge(id: string, usages: ReadonlyMap<string, Usage>): Promise<void>;
}

export interface ExchangeSpec {
  client: ClientConnection;
  entry: ProviderEntry;
  route: Route;
  environment: ResourceEnvironment;
  /** Whether the answer is read to its end and not sent to the caller. */
  whole: boolean;
  /** Edits what is sent to the caller; null to leave it unchanged. */
  lines: LineEditor | null;
  /** Whether the answer is read to its end although the caller is gone. */
  readsOn?: boolean;
}

const notJson = failure("upstream_invalid_response", "The provider's answer could not be read. Try again later.");

export class ResourceExchange {
  readonly #whole: boolean;
  readonly #lines: LineEditor | null;
  readonly #readsOn: boolean;
  readonly #client: ClientConnection;
  readonly #entry: ProviderEntry;
  readonly #route: Route;
  readonly #environment: ResourceEnvironment;
  readonly #resolve: (outcome: Failure | WholeAnswer | null) => void;
  readonly #timer: NodeJS.Timeout;
  #call: { abort(): void; resume(): void } | null = null;
  #over = false;
  #status = 0;
  #headers: ResponseHeaders = {};
  /** Body and length of an answer that is an error or is read whole. */
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(
    { client, entry, route, environment, whole, lines, readsOn = false }: ExchangeSpec,
    resolve: (outcome: Failure | WholeAnswer | null) => void,
  ) {
    this.#whole = whole;
    this.#lines = lines;
    this.#readsOn = readsOn;
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
    this.#client.onClose(() => {
      if (!this.#readsOn) this.#settle(failure("client_closed_request", "The client went away."));
      else this.#call?.resume();
    });
    this.#client.onInterrupt(() => this.refuse(failure("draining", "The gateway is being restarted. Try again.")));
  }

  get #isOk(): boolean {
    return this.#status >= 200 && this.#status < 300;
  }

  head(status: number, given: ResponseHeaders): void {
    this.#status = status;
    this.#headers = cleanHeaders(given, this.#entry.account);
    if (!this.#isOk || this.#whole) return;
    const out = this.#ownHeaders();
    const names = ["content-type", "content-disposition", ...(this.#lines === null ? ["content-length"] : [])];
    for (const name of names) {
      const value = this.#headers[name];
      if (typeof value === "string") out[name] = name === "content-disposition" ? unmarked(value) : value;
    }
    this.#client.head(status, out);
  }

  #ownHeaders(): Record<string, string | number> {
    return {
      "x-request-id": this.#client.requestId,
      "x-provider-used": this.#entry.account.config.id.split("/")[1] ?? "",
    };
  }

  data(chunk: Buffer): boolean {
    if (!this.#isOk || this.#whole) return this.#keep(chunk);
    const out = this.#edited((lines) => lines.push(chunk)) ?? chunk;
    if (out.length === 0 || this.#client.closed || this.#client.writeRaw(out)) return true;
    this.#client.onDrain(() => this.#call?.resume());
    return false;
  }

  #keep(chunk: Buffer): true {
    const max = this.#isOk ? maxAnswerBytes : maxErrorBytes;
    if (this.#bytes < max) this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#isOk && this.#bytes > max) this.refuse(notJson);
    return true;
  }

  /** Null if nothing is edited, or if the content isn't JSON lines and must not be passed on. */
  #edited(edit: (lines: LineEditor) => Buffer): Buffer | null {
    if (this.#lines === null) return null;
    try {
      return edit(this.#lines);
    } catch {
      this.refuse(notJson);
      return Buffer.alloc(0);
    }
  }

  end(): void {
    if (!this.#isOk) this.#settle(this.#failed());
    else if (this.#whole) this.#settle(this.#answer());
    else {
      const rest = this.#edited((lines) => lines.end());
      if (rest !== null && rest.length > 0) this.#client.writeRaw(rest);
      this.#client.end();
      this.#settle(null);
    }
  }

  #answer(): WholeAnswer | Failure {
    const json = jsonIn(Buffer.concat(this.#chunks).toString("utf8"));
    if (!isObject(json)) return notJson;
    return { headers: { ...this.#ownHeaders(), "content-type": "application/json" }, json };
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

  /** An answer that has begun can only be cut off. */
  refuse(failed: Failure): void {
    if (this.#over) return;
    if (this.#client.started) this.#client.destroy();
    this.#settle(failed);
  }

  #settle(outcome: Failure | WholeAnswer | null): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#client.onClose(null);
    this.#client.onInterrupt(null);
    this.#resolve(outcome);
    if (outcome !== null && isFailure(outcome)) this.#call?.abort();
  }

  /** The caller's mistakes are reported in the provider's words; other failures as for any call. */
  #failed(): Failure {
    const error = this.#entry.provider.decodeError({
      status: this.#status,
      headers: this.#headers,
      body: parseLoosely(Buffer.concat(this.#chunks), this.#entry.account),
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
