/** Files, batches, fine-tuning: fewer stages than for calls to models, as their content is not inspected. */
import type { Circumstances } from "../access/rules.ts";
import { type BatchName, batchOwner, noteBatchOwner } from "../cache/batch-owners.ts";
import type { Identity } from "../call/identity.ts";
import { type Failure, isFailure } from "../failure.ts";
import { ownerOf } from "../ids/owner.ts";
import { ResourceIds } from "../ids/resource-ids.ts";
import type { PathEntry } from "../snapshot/snapshot.ts";
import { admit } from "./admit.ts";
import type { AdmitRequest } from "./admit-request.ts";
import { type BatchReader, chargeBatches, chargeResults } from "./batch-charge.ts";
import { bodyPlace, isPlace } from "./body-place.ts";
import type { CallState } from "./call-state.ts";
import { LaterRequests } from "./later-requests.ts";
import { beginOnRecord } from "./on-record.ts";
import type { OnRecord, Unambiguous } from "./proof.ts";
import { noteRoute } from "./record-fields.ts";
import type { MessageBatches } from "./resource-exchange.ts";
import type { ResourceOperation } from "./resource-paths.ts";
import type { ResourceTarget } from "./resource-target.ts";
import { passThrough, resourceTarget } from "./resources.ts";

/** Memory for a body before any of it was read; it grows with what is held. */
const unreadBytes = 65_536;

interface ResourceCall {
  client: Unambiguous;
  operation: ResourceOperation;
  path: PathEntry;
  identity: Identity;
  from: Circumstances;
}

export async function serveResource(call: CallState, asked: ResourceCall): Promise<Failure | null> {
  const { operation, path, identity, from } = asked;
  const { ids, roles } = call.snapshot;
  const accountOf = (id: string): string | null =>
    identity.anonymous ? null : (ids.open(ownerOf(identity, null, roles), id)?.account ?? null);
  const target = resourceTarget(operation, path, identity, from, roles, accountOf);
  if (isFailure(target)) return target;
  const { config } = target.entry.account;
  noteRoute(call.record, target.route);
  call.record.provider = config.id;
  call.record.region = config.region ?? "";
  const onRecord = await beginOnRecord(target.route, call.gateway.audit, call.record);
  return isFailure(onRecord) ? onRecord : pass(call, asked, target, onRecord);
}

function messageBatches(
  { gateway, snapshot }: CallState,
  { route, entry }: ResourceTarget,
  identity: Identity,
  reader: BatchReader,
): MessageBatches {
  const owner = ownerOf(identity, route, snapshot.roles);
  const { store } = gateway.cache;
  const named = (id: string): BatchName => ({
    namespace: owner.namespace,
    key: snapshot.digest(`batch ${entry.account.config.id} ${id}`),
  });
  return {
    maxBodyBytes: snapshot.settings.maxBodyBytes,
    note: (id) => noteBatchOwner(store, named(id), snapshot.ids.mark(owner), gateway.nowMs()),
    isOwn: async (id) => {
      const mark = await batchOwner(store, named(id));
      return mark !== null && snapshot.ids.isMarkedFor(owner, mark);
    },
    charge: (id, usages) => chargeResults(id, usages, reader, gateway),
  };
}

async function pass(
  call: CallState,
  { client, operation, path, identity }: ResourceCall,
  target: ResourceTarget,
  onRecord: OnRecord,
): Promise<Failure | null> {
  const { gateway, record, snapshot, surface } = call;
  const { route, entry } = target;
  const { config } = entry.account;
  const caller: Omit<AdmitRequest, "shaped" | "targets" | "model"> = {
    ...{ client, surface, snapshot, route, identity },
    session: record.session,
  };
  const admitted = await admit({ ...caller, shaped: null, targets: [], model: "" }, gateway);
  if (isFailure(admitted)) return admitted;
  call.admitted = admitted;
  const place =
    operation.method === "POST" ? bodyPlace(client, gateway.bodies, path, identity, record.address, unreadBytes) : null;
  if (place !== null && !isPlace(place)) return place;
  call.place = place;
  const forwarded = call.forwarded(identity);
  call.enter("dispatch");
  if (record.trace !== null) forwarded["traceparent"] = record.trace.traceparent;
  return passThrough(client, operation, target, {
    upstreams: gateway.upstreams,
    auth: gateway.auth,
    forwarded,
    admitted,
    onRecord,
    ids: new ResourceIds(snapshot.ids, ownerOf(identity, route, snapshot.roles), config.id),
    later: new LaterRequests({ entry, route, identity, roles: snapshot.roles }),
    messageBatches: messageBatches(call, target, identity, { caller, entry, record }),
    readBatches: (batches) => chargeBatches(batches, { caller, entry, record }, gateway),
    ...(place === null ? {} : { hold: (bytes: number) => place.hold(bytes) }),
    nowMs: () => gateway.nowMs(),
    minUploadBytesPerSecond: gateway.minUploadBytesPerSecond,
    totalMs: config.timeouts.totalMs,
  });
}
