/**
 * Fields of the access log that are the same in many lines, put into text once: what the config says of a call, and who
 * made it. To look whether each of a dozen strings needs escaping costs more than the rest of the line.
 */

import type { CallRecord } from "../call/record.ts";
import { by } from "../growing-map.ts";

/** Printable ASCII without quote and backslash needs no escaping. */
export const needsNoEscape = /^[ !#-[\]-~]*$/;

export const quoted = (text: string): string => (needsNoEscape.test(text) ? `"${text}"` : JSON.stringify(text));

/** Characters of text that are kept; with more all are forgotten, as users come and go. */
const mostKept = 1_048_576;

interface Place {
  region: string;
  upstreamModel: string;
  text: string;
}

interface Caller {
  team: string;
  text: string;
}

/** By operation, policy, model and provider. */
const newPlaces = by(by(by(by((): Place => ({ region: "", upstreamModel: "", text: "" })))));
/** By key and user. */
const newCallers = by(by((): Caller => ({ team: "", text: "" })));

// Joined, not added up: a text of many parts would be put together anew for each line it goes into.
const placeText = ({ operation, route, model, provider, region, upstreamModel }: CallRecord): string =>
  [
    `,"operation":${quoted(operation)},"route":${quoted(route)},"model":${quoted(model)},"provider":${quoted(provider)}`,
    region === "" ? "" : `,"region":${quoted(region)}`,
    `,"upstream_model":${quoted(upstreamModel)}`,
  ].join("");

const callerText = ({ key, user, team }: CallRecord): string =>
  [',"key":', quoted(key), ',"user":', quoted(user), ',"team":', quoted(team)].join("");

export class SharedFields {
  #places = newPlaces();
  #callers = newCallers();
  #kept = 0;

  /** From `operation` to `upstream_model`, each behind a comma. */
  place(call: CallRecord): string {
    const known = this.#places.get(call.operation)?.get(call.route)?.get(call.model)?.get(call.provider);
    if (known !== undefined && known.upstreamModel === call.upstreamModel && known.region === call.region)
      return known.text;
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

  /** `key`, `user` and `team`, each behind a comma. */
  caller(call: CallRecord): string {
    const known = this.#callers.get(call.key)?.get(call.user);
    if (known !== undefined && known.team === call.team) return known.text;
    const text = callerText(call);
    this.#keep(text);
    Object.assign(this.#callers.at(call.key).at(call.user), { team: call.team, text });
    return text;
  }

  #keep(text: string): void {
    this.#kept += text.length;
    if (this.#kept <= mostKept) return;
    this.#places = newPlaces();
    this.#callers = newCallers();
    this.#kept = text.length;
  }
}
