/** `spec.access` → what the proxy enforces. Rules that can't be enforced as written are errors; nothing is guessed. */
import { nearest } from "../../crds/nearest.ts";
import type { AccessSpec } from "../../crds/types/access.ts";
import { parseNetwork, withoutHostBits } from "../../proxy/config/networks.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import type { RouteConfig } from "../../proxy/config/route.ts";
import { problem } from "./outcome.ts";
import { knownTimeZone } from "./time-zone.ts";
import type { Problem } from "./verdict.ts";
import type { CompileSettings } from "./world.ts";

type Access = RouteConfig["access"];

const path = ["spec", "access"];
const dayNames = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const sorted = (names: readonly string[] | undefined): string[] | null =>
  names === undefined ? null : [...names].sort();

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}

function checkNetworks(networks: readonly string[], accepted: Problem[]): void {
  for (const [index, network] of networks.entries()) {
    const where = [...path, "networks", index];
    if (parseNetwork(network) === null) {
      accepted.push(
        problem(
          "Invalid",
          `spec.access.networks: ${network} is not a network; write it like 10.0.0.0/8 or 2001:db8::/32`,
          where,
        ),
      );
      continue;
    }
    const meant = withoutHostBits(network);
    if (meant !== null)
      accepted.push(
        problem("Invalid", `spec.access.networks: ${network} covers all of ${meant}; write that`, where, "warning"),
      );
  }
}

function hoursOf(hours: AccessSpec["hours"], accepted: Problem[]): Access["hours"] {
  if (hours === undefined) return null;
  if (!knownTimeZone(hours.timeZone)) {
    const message = `spec.access.hours.timeZone: ${hours.timeZone} is not an IANA time zone, such as Europe/Berlin`;
    accepted.push(problem("Invalid", message, [...path, "hours", "timeZone"]));
  }
  const days = (hours.days ?? dayNames).map((name) => dayNames.indexOf(name)).sort();
  return { fromMinute: minuteOf(hours.from), toMinute: minuteOf(hours.to), timeZone: hours.timeZone, days };
}

/** Nobody has a role that the installation lacks, so naming it lets nobody in. */
function warnRoles(roles: readonly string[], { knowsRoles, proxy }: CompileSettings, accepted: Problem[]): void {
  const known = proxy.roles;
  if (knowsRoles !== true || known === undefined) return;
  for (const [index, role] of roles.entries()) {
    if (Object.hasOwn(known, role)) continue;
    const names = Object.keys(known).sort();
    const meant = nearest(role, names);
    const advice = meant === null ? `its roles are: ${names.join(", ")}` : `did you mean ${meant}?`;
    const message = `this installation has no role ${role}, so this entry lets nobody in; ${advice}`;
    accepted.push(problem("RoleNotFound", message, [...path, "roles", index], "warning"));
  }
}

/** Without `settings.knowsCountries` and `settings.knowsRoles`, countries and roles are not checked. */
export function compileAccess(access: AccessSpec, settings: CompileSettings, accepted: Problem[]): Access {
  checkNetworks(access.networks ?? [], accepted);
  warnRoles(access.roles ?? [], settings, accepted);
  const hours = hoursOf(access.hours, accepted);
  if (access.countries !== undefined && settings.knowsCountries === false) {
    const message =
      "this installation has no way to tell a caller's country, so every call will be refused; set proxy.countryDatabase or proxy.countryHeader";
    accepted.push(problem("Unsupported", message, [...path, "countries"], "warning"));
  }
  return {
    anonymous: access.anonymous,
    roles: access.roles ?? null,
    teams: access.teams ?? null,
    tags: access.tags ?? null,
    networks: sorted(access.networks),
    countries:
      access.countries === undefined
        ? null
        : { allow: sorted(access.countries.allow), deny: sorted(access.countries.deny) },
    hours,
    consent: access.consent ?? null,
    regions: sorted(access.residency?.regions),
  };
}

/** Why a provider may not see the data of a policy; null if it may. */
export function notResident(regions: readonly string[] | null, provider: ProviderConfig): string | null {
  if (regions === null || (provider.region !== null && regions.includes(provider.region))) return null;
  const where =
    provider.region === null
      ? "does not say in spec.region where it processes data"
      : `processes data in ${provider.region}`;
  return `LLMProvider ${provider.id} ${where}, and spec.access.residency allows ${regions.join(", ")} only`;
}

/** Without `settings.durableAudit`, nothing is checked. */
export function warnUnrecorded(
  { required }: { required: boolean },
  settings: CompileSettings,
  accepted: Problem[],
): void {
  if (!required || settings.durableAudit !== false) return;
  const message =
    "this installation keeps no audit records in a file or the store, so every call will be refused; set audit.file or audit.redis";
  accepted.push(problem("Unsupported", message, ["spec", "audit", "required"], "warning"));
}
