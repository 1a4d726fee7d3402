/** Rules of a route about where a call comes from, when, and with whose consent. Each refusal has its own code. */

import { Networks } from "../config/networks.ts";
import type { RouteConfig } from "../config/route.ts";
import { type Failure, failure } from "../failure.ts";
import { hoursTest } from "./hours.ts";

/** Facts about a call other than its caller. */
export interface Circumstances {
  /** null if unknown. */
  address: string | null;
  /** ISO 3166-1 code, looked up on first use; null if unknown. */
  country(): string | null;
  header(name: string): string | null;
  nowMs: number;
}

/** null lets the call pass. */
type Rule = (call: Circumstances) => Failure | null;

const elsewhere = failure(
  "network_not_allowed",
  "This model may not be called from your network. Call from one that its policy allows.",
);
const abroad = failure("country_not_allowed", "This model may not be called from your country.");
const unlocated = failure(
  "country_unknown",
  "This model may be called from certain countries only, and yours can't be determined from your address. Ask the platform team.",
);

function countryRule(rule: NonNullable<RouteConfig["access"]["countries"]>): Rule {
  const allow = rule.allow === null ? null : new Set(rule.allow);
  const deny = new Set(rule.deny ?? []);
  return (call) => {
    const country = call.country();
    if (country === null) return unlocated;
    return deny.has(country) || (allow !== null && !allow.has(country)) ? abroad : null;
  };
}

const clock = (minute: number): string =>
  `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;

function hoursRule(hours: NonNullable<RouteConfig["access"]["hours"]>): Rule {
  const inside = hoursTest(hours);
  const closed = failure(
    "outside_allowed_hours",
    `This model may be called from ${clock(hours.fromMinute)} to ${clock(hours.toMinute)} (${hours.timeZone}) on the days that its policy allows.`,
  );
  return (call) => (inside(call.nowMs) ? null : closed);
}

export interface AccessRules {
  /** Where and when: applies to the list of models as well as to calls. */
  place: readonly Rule[];
  /** What a call must carry. */
  call: readonly Rule[];
}

export function accessRules(access: RouteConfig["access"]): AccessRules {
  const place: Rule[] = [];
  const call: Rule[] = [];
  if (access.networks !== null) {
    const networks = new Networks(access.networks);
    place.push(({ address }) => (address !== null && networks.has(address) ? null : elsewhere));
  }
  if (access.countries !== null) place.push(countryRule(access.countries));
  if (access.hours !== null) place.push(hoursRule(access.hours));
  if (access.consent !== null) {
    const { header, value } = access.consent;
    const missing = failure(
      "consent_required",
      `This model needs consent: send the header ${header}: ${value} once you have it.`,
      { param: header },
    );
    call.push((circumstances) => (circumstances.header(header) === value ? null : missing));
  }
  return { place, call };
}

export function firstRefusal(rules: readonly Rule[], call: Circumstances): Failure | null {
  for (const rule of rules) {
    const refused = rule(call);
    if (refused !== null) return refused;
  }
  return null;
}
