/** `spec.access` of a RoutingPolicy: who may call, from where, when, and where the data may go. */
import { z } from "zod";
import { callerName, headerName, subject, timeZone } from "./scalars.ts";
import { shortText, worded } from "./worded.ts";

/** An origin as sent by browsers and webviews: of pages, or of apps and extensions with their own scheme. */
export const webOriginForm = /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?$/;

export const webOrigin = worded(
  z.string().max(253),
  webOriginForm,
  "must be an origin in lower case without a path, such as https://chat.example.com",
  [
    [/[*]/, "must be one origin, such as https://chat.example.com: patterns with * are not taken, so name each"],
    [/^[A-Za-z0-9.-]+(:[0-9]+)?(\/.*)?$/, "must begin with https:// or http://, such as https://chat.example.com"],
    [
      /^[a-z][a-z0-9+.-]*:\/\/[^/]+\//,
      "must end after the host or port, without a / and path, such as https://chat.example.com",
    ],
  ],
);

/** The last part also accepts some invalid forms of IPv6, which the operator reports. */
const network = worded(
  z.string().max(49),
  /^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}(\/(3[0-2]|[0-2]?[0-9]))?|[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}(:[0-9]{1,3}(\.[0-9]{1,3}){3})?(\/[0-9]{1,3})?)$/,
  "must be a network such as 10.0.0.0/8 or 2001:db8::/32, or one address",
  [
    [
      /^[0-9.]+ *\/[0-9]+[.]/,
      "must have the length of the prefix after the /, such as 10.0.0.0/8; that is /24 for 255.255.255.0",
    ],
    [/^[0-9.]+(\/[0-9]+)?$/, "must have four numbers from 0 to 255, and after a / at most 32, such as 10.0.0.0/8"],
    [/^[0-9.]+ *-/, "must be networks such as 10.0.0.0/24, each an entry of its own: ranges with - are not taken"],
    [/[*]/, "must be a network such as 10.0.0.0/8, which is what 10.* would be: patterns with * are not taken"],
    [/[g-zG-Z]/, "must be a network such as 10.0.0.0/8 or 2001:db8::/32, or one address, and not a name"],
  ],
);

const country = worded(shortText, /^[A-Z]{2}$/, "must be a country's ISO 3166-1 code of two capitals, such as DE");

const countryList = z.array(country).min(1).max(256).optional().meta({ listType: "set" });

const countries = z
  .strictObject({
    allow: countryList.describe("Allow only callers from these countries."),
    deny: countryList.describe("Refuse callers from these countries."),
  })
  .meta({ cel: [{ rule: "has(self.allow) != has(self.deny)", message: "set either allow or deny" }] })
  .describe("Countries that calls may come from. A caller whose country is unknown is refused.");

const timeOfDay = (last: "23:59" | "24:00") =>
  worded(
    shortText,
    last === "24:00" ? /^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$/ : /^([01][0-9]|2[0-3]):[0-5][0-9]$/,
    `must be a time of day from 00:00 to ${last}, such as 18:30`,
    [
      [/^[0-9]:/, "needs two digits for the hour, such as 08:00"],
      [/[ap]\.?m/, "must be by the clock of 24 hours, such as 20:00 for eight in the evening"],
      [/^[0-9]{2}:[0-9]{2}:/, "must be without seconds, such as 18:30"],
    ],
  );

const hours = z
  .strictObject({
    from: timeOfDay("23:59").describe("First minute, as local time in timeZone."),
    to: timeOfDay("24:00").describe(
      "First minute at which calls are refused again. If it is earlier than `from`, it is on the next day.",
    ),
    timeZone: timeZone.describe("IANA time zone, such as Europe/Berlin."),
    days: z
      .array(z.enum(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]))
      .min(1)
      .max(7)
      .optional()
      .meta({ listType: "set" })
      .describe("Days on which the hours begin. Default: every day."),
  })
  .meta({
    cel: [{ rule: "self.from != self.to", message: "from and to must differ; for the whole day set 00:00 and 24:00" }],
  })
  .describe("Hours in which calls are served. Default: always.");

const consent = z
  .strictObject({
    header: headerName.describe("Header with which the caller states consent."),
    value: z.string().min(1).max(256).default("true").describe("Required value of the header."),
  })
  .describe("Consent that calls must state in a header.");

const region = worded(
  z.string().max(63),
  /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/,
  "must be a region as an LLMProvider's spec.region names it, such as eu-central-1",
);

const residency = z
  .strictObject({
    regions: z
      .array(region)
      .min(1)
      .max(64)
      .meta({ listType: "set" })
      .describe("Regions, as named in spec.region of LLMProviders. Providers without a region are not used."),
  })
  .describe("Regions that may process the data. Targets elsewhere are never used, not even for retries or fallback.");

export const access = z
  .strictObject({
    anonymous: z
      .boolean()
      .default(false)
      .describe(
        "Serve callers without a key. Needs match.pathPrefix, and in a cluster a namespace that operator.anonymousNamespaces names.",
      ),
    roles: z
      .array(subject)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("Roles that may call. Default: all."),
    teams: z
      .array(callerName)
      .min(1)
      .max(256)
      .optional()
      .meta({ listType: "set" })
      .describe("Teams that may call. Default: all."),
    tags: z
      .array(callerName)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("The key must have at least one of these tags. Default: no tag is required."),
    networks: z
      .array(network)
      .min(1)
      .max(256)
      .optional()
      .meta({ listType: "set" })
      .describe("Networks that calls may come from. Default: all."),
    countries: countries.optional(),
    hours: hours.optional(),
    consent: consent.optional(),
    residency: residency.optional(),
  })
  .meta({
    cel: [
      {
        rule: "!self.anonymous || !(has(self.roles) || has(self.teams) || has(self.tags))",
        message: "anonymous callers have no role, team or tag: remove roles, teams and tags, or set anonymous to false",
      },
    ],
  })
  .describe("Who may call, from where, when, and where the data may go.");
export type AccessSpec = z.output<typeof access>;
