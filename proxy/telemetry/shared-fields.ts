/**
 * Access log fields that are the same in many lines, converted to text once: values from the config, and the caller.
 * Checking a dozen strings for characters to escape costs more than the rest of the line.
 */
import { Buffer } from "node:buffer";
import type { CallRecord } from "../call/record.ts";
import { by } from "../growing-map.ts";

/** Printable ASCII without quotes and backslashes needs no escaping. */
export const needsNoEscape = /^[ !#-[\]-~]*$/;

export const quoted = (text: string): string => (needsNoEscape.test(text) ? `"${text}"` : JSON.stringify(text));

/** Bytes of text to keep. Beyond that everything is dropped, since users come and go. */
const maxKept = 1_048_576;

interface Place {
  region: string;
  upstreamModel: string;
  text: Buffer;
}

interface Caller {
  team: string;
  text: Buffer;
}

const nothing = Buffer.alloc(0);

/** By operation, policy, model and provider. */
const newPlaces = by(by(by(by((): Place => ({ region: "", upstreamModel: "", text: nothing })))));
/** By key and user. */
const newCallers = by(by((): Caller => ({ team: "", text: nothing })));

const placeText = ({ operation, route, model, provider, region, upstreamModel }: CallRecord): Buffer =>
  Buffer.from(
    [
      `,"operation":${quoted(operation)},"route":${quoted(route)},"model":${quoted(model)},"provider":${quoted(provider)}`,
      region === "" ? "" : `,"region":${quoted(region)}`,
      `,"upstream_model":${quoted(upstreamModel)}`,
    ].join(""),
  );

const callerText = ({ key, user, team }: CallRecord): Buffer =>
  Buffer.from(`,"key":${quoted(key)},"user":${quoted(user)},"team":${quoted(team)}`);

export class SharedFields {
  #places = newPlaces();
  #callers = newCallers();
  #kept = 0;

  /** From `operation` to `upstream_model`, each after a comma. */
  place(call: CallRecord): Buffer {
    const cached = this.#places.get(call.operation)?.get(call.route)?.get(call.model)?.get(call.provider);
    if (cached !== undefined && cached.upstreamModel === call.upstreamModel && cached.region === call.region)
      return cached.text;
    const text = placeText(call);
    this.#keep(text);
    const { region, upstreamModel } = call;
    Object.assign(this.#places.at(call.operation).at(call.route).at(call.model).at(call.provider), {
      region,
      upstreamModel,
      text,
    });
    return text;
  }

  /** `key`, `user` and `team`, each after a comma. */
  caller(call: CallRecord): Buffer {
    const existing = this.#callers.get(call.key)?.get(call.user);
    if (existing !== undefined && existing.team === call.team) return existing.text;
    const text = callerText(call);
    this.#keep(text);
    Object.assign(this.#callers.at(call.key).at(call.user), { team: call.team, text });
    return text;
  }

  #keep(text: Buffer): void {
    this.#kept += text.length;
    if (this.#kept <= maxKept) return;
    this.#places = newPlaces();
    this.#callers = newCallers();
    this.#kept = text.length;
  }
}
