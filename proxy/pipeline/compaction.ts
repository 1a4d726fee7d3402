/**
 * Compacted conversations. Providers that offer compaction do it themselves. For the others, the model writes a
 * summary, in a call that passes every stage. The summary is sealed last, so that masking and the audit log see its
 * text.
 */
import { Buffer } from "node:buffer";
import type { Identity } from "../call/identity.ts";
import { type Received, withEdits } from "../call/received.ts";
import type { WireFormat } from "../config/capabilities.ts";
import { compactedResponse, hasSummaries, openedInput } from "../dialects/openai-responses/compaction.ts";
import { type Failure, failure } from "../failure.ts";
import { ownerOf } from "../ids/owner.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import type { ReplyFilter } from "../wire/reply-filter.ts";
import type { CallState } from "./call-state.ts";

const streamed = failure("unsupported_parameter", "A compacted conversation can't be streamed. Leave `stream` out.", {
  param: "stream",
});

const notOpened = (index: number): Failure =>
  failure(
    "invalid_value",
    `\`input[${index}]\` is not a compacted conversation that this gateway made for you, or it was changed. Send the item exactly as the answer gave it to you, with a key of the same user.`,
    { param: `input[${index}].encrypted_content` },
  );

interface Keys extends Pick<Snapshot, "roles"> {
  summaries: Pick<Snapshot["summaries"], "open">;
}

/** For `explain`, which has no keys: uses the sealed text in place of its content. */
export const unopened: Keys["summaries"] = { open: (_, sealed) => sealed };

/** The request with the gateway's own summaries as text, before anything reads its texts. */
export function withSummaries(
  received: Received,
  { format, compacts }: { format: WireFormat; compacts: boolean },
  route: Route,
  identity: Identity,
  { summaries, roles }: Keys,
): Received | Failure {
  if (format !== "openai.responses") return received;
  if (compacts && received.stream) return streamed;
  const { input } = received.json;
  if (!hasSummaries(input)) return received;
  const owner = ownerOf(identity, route, roles);
  const opened = openedInput(input, (sealed) => summaries.open(owner, sealed));
  return typeof opened === "number" ? notOpened(opened) : withEdits(received, { input: opened });
}

/** Seals the model's summary. A provider's own compaction passes unchanged. */
class SealedSummary implements ReplyFilter {
  readonly #sealed: (response: JsonObject) => JsonObject;

  constructor(sealed: (response: JsonObject) => JsonObject) {
    this.#sealed = sealed;
  }

  whole(body: Uint8Array | string): Uint8Array | string {
    const response = jsonIn(typeof body === "string" ? body : Buffer.from(body).toString("utf8"));
    return isObject(response) && response["object"] === "response" ? JSON.stringify(this.#sealed(response)) : body;
  }

  // A compacted conversation is never streamed.
  chunk(bytes: Uint8Array | string): Uint8Array | string {
    return bytes;
  }

  last(): string {
    return "";
  }
}

/** `received`: the caller's own request. Called before other filters are added, so that the answer passes this last. */
export function answerCompacted(
  { client, snapshot }: CallState,
  received: Received,
  route: Route,
  identity: Identity,
): void {
  const { input } = received.json;
  const owner = ownerOf(identity, route, snapshot.roles);
  const seal = (text: string): string => snapshot.summaries.seal(owner, text);
  client.filter(new SealedSummary((response) => compactedResponse(response, input, seal)));
}
