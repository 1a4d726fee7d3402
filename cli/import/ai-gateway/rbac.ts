/** rbac-config.yaml: roles → Helm values, users → ApiKeys, network, place and time → access of the policies. */
import { access as accessSchema } from "../../../crds/types/access.ts";
import { permissions } from "../../../proxy/config/roles.ts";
import { maxTags, takeFirst } from "../bounds.ts";
import { countField, firstSet, moneyField, section } from "../fields.ts";
import type { Manifests, Spec } from "../manifests.ts";
import { modelNameFrom, objectNameFrom, subjectFrom } from "../names.ts";
import type { Setting } from "../setting.ts";

/** `[{name: a, …}]` or `{a: …}`. */
function named(setting: Setting): [string, Setting][] {
  if (setting.isMapping) return setting.entries();
  return setting.items().map((item) => [firstSet(item, "name", "role", "id").text ?? "", item]);
}

const managing = "who may manage objects is decided by Kubernetes' RBAC: bind the chart's ClusterRoles";

/** Marks a permission, and returns the permissions of Sluice that it grants. */
function granted(permission: Setting): readonly string[] {
  const name = (permission.text ?? "").toLowerCase();
  const known = permissions.find((permission) => permission === name);
  if (known !== undefined) {
    permission.imported("permissions of the role");
    return [known];
  }
  if (/^(all|\*|admin|full_access)$/.test(name)) {
    permission.changed(`every permission of calls; ${managing}`);
    return permissions;
  }
  if (/^manage_/.test(name)) permission.changed(managing);
  else permission.notImported(`permissions are ${permissions.join(", ")}`);
  return [];
}

const permissionsOf = (role: Setting): string[] => [...new Set(role.get("permissions").items().flatMap(granted))];

function roleOf(role: Setting): Spec {
  const limits = role.get("limits").isSet ? role.get("limits") : firstSet(role, "rate_limits", "limits");
  const place = limits.isSet ? limits : role;
  const models = firstSet(role, "allowed_models", "models");
  const names = models.texts.flatMap((name) => (/^(\*|all)$/.test(name) ? [] : (modelNameFrom(name) ?? [])));
  models.imported(names.length === 0 ? "every model" : "models of the role");
  return {
    permissions: permissionsOf(role),
    ...(names.length === 0 ? {} : { models: names }),
    ...section("limits", {
      ...countField(firstSet(place, "max_requests_per_day", "requests_per_day"), "limits.requestsPerDay"),
      ...countField(firstSet(place, "max_tokens_per_day", "tokens_per_day"), "limits.tokensPerDay", 1_000_000_000_000),
      ...moneyField(firstSet(place, "max_cost_per_day", "cost_per_day", "daily_cost_limit"), "limits.costPerDay"),
    }),
  };
}

function addUser(user: Setting, manifests: Manifests): void {
  const setting = user.isMapping ? firstSet(user, "email", "user", "username", "name", "id") : user;
  if (setting.text === undefined) return;
  const name = subjectFrom(setting.text);
  const [role, team] = [firstSet(user, "role", "roles"), firstSet(user, "team", "group")];
  const tags = takeFirst([...new Set(user.get("tags").texts.map(subjectFrom))], maxTags, "tags of an ApiKey", () =>
    user.get("tags"),
  );
  const object = manifests.add("ApiKey", name, {
    user: name,
    ...(role.texts[0] === undefined ? {} : { role: subjectFrom(role.texts[0]) }),
    ...(team.text === undefined ? {} : { team: subjectFrom(team.text) }),
    ...(tags.length === 0 ? {} : { tags }),
    writeTo: { name: `${objectNameFrom(name)}-llm-key` },
  });
  setting.imported(`ApiKey ${object.name}, with a new key`);
  if (role.texts.length > 1) role.changed("an ApiKey has one role: the first");
  else role.imported("role");
  team.imported("team");
  user.get("tags").imported("tags");
}

/** The fields that the schema accepts. */
function accepted(fields: Spec): Spec {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => accessSchema.safeParse({ [name]: value }).success),
  );
}

function hoursOf(setting: Setting): Spec {
  const from = firstSet(setting, "start", "from", "start_time");
  const to = firstSet(setting, "end", "to", "end_time");
  const zone = firstSet(setting, "timezone", "time_zone", "timeZone");
  if (from.text === undefined || to.text === undefined) return {};
  const hours = { from: clock(from), to: clock(to), timeZone: zone.text ?? "UTC" };
  for (const setting of [from, to, zone]) setting.imported("access.hours");
  return { hours };
}

/** YAML 1.1 reads an unquoted time as a number: 9:00 may arrive as minutes. */
function clock(setting: Setting): string {
  const { text = "" } = setting;
  const parts = /^([0-9]{1,2}):([0-9]{2})/.exec(text);
  if (parts !== null) return `${(parts[1] ?? "").padStart(2, "0")}:${parts[2]}`;
  const minutes = setting.number ?? 0;
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

function accessOf(documents: readonly Setting[]): Spec {
  const fields: Spec = {};
  for (const document of documents) {
    const places = ["access_control", "access", "security", "restrictions", "network"].map((name) =>
      document.get(name),
    );
    for (const place of [document, ...places]) {
      const networks = firstSet(place, "ip_whitelist", "ip_allowlist", "allowed_ips", "allowed_networks");
      if (networks.texts.length > 0) fields["networks"] = networks.imported("access.networks").texts;
      const countries = firstSet(place, "allowed_countries", "geo_restrictions.allowed_countries");
      if (countries.texts.length > 0) fields["countries"] = { allow: countries.imported("access.countries").texts };
      Object.assign(fields, hoursOf(firstSet(place, "allowed_hours", "time_restrictions", "time_restriction")));
      const regions = firstSet(place, "data_residency.regions", "data_residency.allowed_regions", "allowed_regions");
      if (regions.texts.length > 0) fields["residency"] = { regions: regions.imported("access.residency").texts };
    }
  }
  return section("access", accepted(fields));
}

function rolesOf(rbac: Setting): Spec {
  const roles: Spec = {};
  for (const [name, role] of named(rbac.get("roles"))) {
    if (name === "") continue;
    roles[subjectFrom(name)] = roleOf(role);
    firstSet(role, "name", "role").imported("Helm's roles");
    role.get("description").imported("not needed");
  }
  return roles;
}

/** Returns the access of every policy. */
export function addAccess(documents: readonly Setting[], manifests: Manifests): Spec {
  const roles: Spec = {};
  for (const document of documents) {
    const rbac = document.get("rbac").isMapping ? document.get("rbac") : document;
    Object.assign(roles, rolesOf(rbac));
    for (const [, user] of named(rbac.get("users"))) addUser(user, manifests);
  }
  if (Object.keys(roles).length > 0) manifests.helmValues["roles"] = roles;
  return accessOf(documents);
}
