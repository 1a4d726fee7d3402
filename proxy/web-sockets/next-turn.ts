/** Decides what to do with an event, from what its connection remembers. */
import type { Buffer } from "node:buffer";
import type { EarlierTurns } from "./chains.ts";
import { type CreateEvent, type EventProblem, inputItems, joinedItems, ownBody, wholeBody } from "./create-event.ts";

type NextTurn =
  | { kind: "problem"; problem: EventProblem }
  /** Remember the input, and ask no provider. */
  | { kind: "warmUp"; items: string }
  /** `items`: the whole input, as members of a list; null if it isn't known. */
  | { kind: "call"; body: Buffer; items: string | null; isStored: boolean };

/** `earlier`: the turns up to the response that the event follows; null if it follows none or it isn't remembered. */
export function nextTurn(event: CreateEvent, earlier: EarlierTurns | null): NextTurn {
  const isStored = event.json["store"] !== false;
  const isForgotten = event.previous !== "" && earlier === null;
  if (isForgotten && !isStored) {
    const message = `Previous response with id '${event.previous.slice(0, 128)}' is not in this connection's memory. Send the whole input without previous_response_id.`;
    return {
      kind: "problem",
      problem: { code: "previous_response_not_found", message, param: "previous_response_id" },
    };
  }
  const input = inputItems(event);
  const items = input === null || isForgotten ? null : joinedItems(earlier?.items ?? "", input);
  if (event.json["generate"] === false && items !== null) return { kind: "warmUp", items };
  const body = earlier === null || items === null ? ownBody(event) : wholeBody(event, items);
  return { kind: "call", body, items, isStored };
}
