/**
 * Type-checked, never run: each function leaves out one stage and must not compile (`make types`). An expectation that
 * no longer fails is itself an error.
 */
import type { Identity } from "../../proxy/call/identity.ts";
import type { Received } from "../../proxy/call/received.ts";
import type { CallRecord } from "../../proxy/call/record.ts";
import type { Shaped } from "../../proxy/call/shaped.ts";
import type { CachedCall } from "../../proxy/pipeline/cached-call.ts";
import type { DispatchRequest } from "../../proxy/pipeline/dispatch-request.ts";
import { mask } from "../../proxy/pipeline/mask.ts";
import { mint } from "../../proxy/pipeline/mint.ts";
import type { Authorised, Masked, Missed, OnRecord, Unambiguous } from "../../proxy/pipeline/proof.ts";
import { receive } from "../../proxy/pipeline/receive.ts";
import type { Admitted } from "../../proxy/pipeline/reservation.ts";
import type { ResourceTarget } from "../../proxy/pipeline/resource-target.ts";
import { passThrough, type ResourceEnvironment } from "../../proxy/pipeline/resources.ts";
import { type Routed, route } from "../../proxy/pipeline/route.ts";
import { shape } from "../../proxy/pipeline/shape.ts";
import type { CheckName } from "../../proxy/pipeline/stages.ts";
import type { PathEntry, Snapshot } from "../../proxy/snapshot/snapshot.ts";
import type { TextPool } from "../../proxy/text-work/pool.ts";
import type { ClientConnection } from "../../proxy/wire/client.ts";

interface Given {
  client: ClientConnection;
  clear: Unambiguous;
  path: PathEntry;
  identity: Identity;
  routed: Routed;
  authorised: Authorised;
  received: Received;
  masked: Masked;
  shaped: Shaped;
  record: CallRecord;
  pool: TextPool;
  snapshot: Snapshot;
}

const format = "openai.chat";
const nowMs = 0;
const operation = { kind: "resource", resource: "Files", method: "GET", path: "/files" } as const;

export const complete = {
  receive: ({ clear }: Given) => receive(clear, 0, ""),
  mask: ({ authorised, received, client, record, pool }: Given) =>
    mask(authorised, { received, format, client, record, pool, namespace: "" }),
  shape: ({ masked, authorised: routed, identity }: Given) => shape(masked, { routed, format, identity, nowMs }),
};

export const without = {
  preliminary: ({ client }: Given) =>
    // @ts-expect-error receive wants the client as preliminary returns it
    receive(client, 0, ""),
  preliminaryOfTokens: ({ client, identity, snapshot }: Given) =>
    // @ts-expect-error mint reads a body as well
    mint(client, identity, snapshot, nowMs),
  authenticate: ({ path }: Given) =>
    // @ts-expect-error route wants to know who calls
    route(path, null, null),
  authorise: ({ routed, received, client, record, pool }: Given) =>
    // @ts-expect-error mask wants the route as authorise returns it
    mask(routed, { received, format, client, record, pool, namespace: "" }),
  mask: ({ received, authorised: routed, identity }: Given) =>
    // @ts-expect-error shape wants the body as mask returns it
    shape(received, { routed, format, identity, nowMs }),
  // @ts-expect-error the cache wants the request as shape returns it
  shape: ({ masked }: Given): CachedCall["shaped"] => masked,
  // @ts-expect-error the cache wants proof of the stage "on record"
  onRecord: (): CachedCall["onRecord"] => ({}),
  // @ts-expect-error dispatch wants proof of the stage "cached"
  cached: (): DispatchRequest["missed"] => ({}),
  // @ts-expect-error dispatch wants proof of the stage "admit"
  admit: (): DispatchRequest["admitted"] => ({ settle: () => undefined }),
  admitOfResources: ({ clear }: Given, target: ResourceTarget, environment: Omit<ResourceEnvironment, "admitted">) =>
    // @ts-expect-error files, batches and fine-tuning are admitted as well
    passThrough(clear, operation, target, environment),
  onRecordOfResources: ({ clear }: Given, target: ResourceTarget, environment: Omit<ResourceEnvironment, "onRecord">) =>
    // @ts-expect-error and are on record
    passThrough(clear, operation, target, environment),
};

/** One proof doesn't do for another. */
// @ts-expect-error
export const swapped = (proof: Missed): OnRecord => proof;
// @ts-expect-error
export const unsettled = (proof: Missed): Admitted => proof;

/** Every check of the list has its function. */
// @ts-expect-error
export const incomplete: Record<CheckName, null> = { authorise: null, origin: null, "other models": null, guard: null };
