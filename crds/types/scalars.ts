/**
 * Scalars that several kinds use. Every string is bounded: newer Kubernetes refuses a CRD whose CEL rules could run
 * over unbounded input.
 *
 * `meta` keys that `crds/structural.ts` carries into the CRD: `cel` (x-kubernetes-validations), `listType`,
 * `listMapKeys`, `maxProperties`, `format`, and `words` (see worded.ts).
 */
import { z } from "zod";
import { type Hint, shortText, worded } from "./worded.ts";

/** A rule of `x-kubernetes-validations`; the message says how to fix the object. */
export interface CelRule {
  rule: string;
  message: string;
  fieldPath?: string;
  /** A CEL expression that yields the message, if the rule can name the offending value. */
  messageExpression?: string;
}

declare module "zod" {
  interface GlobalMeta {
    cel?: CelRule[];
    listType?: "atomic" | "set" | "map";
    listMapKeys?: string[];
    maxProperties?: number;
  }
}

const noCapitals: Hint = [/[A-Z]/, "must be in lower case, as all names of objects are"];
const noUnderscore: Hint = [/_/, "must not have _, as no name of an object has: use -"];

/** DNS-1123 label or subdomain: the name of a Kubernetes object. */
export const objectName = worded(
  z.string().max(253),
  /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
  "must be the name of an object: lower-case letters, digits, - and ., the first and last a letter or digit",
  [noCapitals, noUnderscore, [/\//, "must be the name of an object alone, without its kind or namespace before a /"]],
);

export const namespaceName = worded(
  z.string().max(63),
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  "must be the name of a namespace: lower-case letters, digits and -, the first and last a letter or digit",
  [noCapitals, noUnderscore],
);

/** Hints for common mistakes in durations. `example`: valid values, as in "30s, 10m or 1h". */
export const durationHints = (example: string): Hint[] => [
  [/^[0-9]+([.][0-9]+)?$/, `needs a unit, such as ${example}`],
  [/[0-9][.,][0-9]/, "takes whole numbers only, such as 90m for one and a half hours"],
  [
    /^[0-9]+ *([A-Z]|[a-z]{3}|[wy])|[0-9a-z] [0-9a-z]/,
    `must be numbers with units and without spaces, such as ${example}`,
  ],
];

/** A duration such as `30s`, `10m`, `90d`, or a sum such as `1h30m`. It is above zero, since its first number is. */
export const duration = worded(
  z.string().max(32),
  /^[1-9][0-9]{0,4}(ms|s|m|h|d)([0-9]{1,5}(ms|s|m|h|d))*$/,
  "must be a duration above zero, such as 30s, 10m, 1h30m or 90d",
  [
    ...durationHints("30s, 10m, 1h or 90d"),
    [/^[0-9]{6,}/, "can have at most five digits before a unit: take a larger one, as 30d is for 2592000s"],
  ],
);

const timerHints: Hint[] = [
  ...durationHints("30s, 10m or 1h"),
  [/[0-9]d/, "must be below 100h, and in hours in place of days: 24h is one day"],
  [
    /^([0-9]{5,}s|[0-9]{4,}m)$/,
    "has too many digits: take a larger unit, as 24h is for 86400s or 1440m; it must be below 100h",
  ],
];

/** A duration short enough for a timer: below the 2^31 ms that `setTimeout` takes, however the sum is written. */
export const timer = worded(
  shortText,
  /^[1-9][0-9]{0,5}ms$|^([1-9][0-9]{0,3}s|[1-9][0-9]{0,2}m|[1-9][0-9]?h)([0-9]{1,2}m)?([0-9]{1,2}s)?$/,
  "must be a duration above zero and below 100h, such as 500ms, 30s, 10m or 1h30m",
  timerHints,
);

/** An interval: a timer of at least a second. */
export const interval = worded(
  shortText,
  /^([1-9][0-9]{0,3}s|[1-9][0-9]{0,2}m|[1-9][0-9]?h)([0-9]{1,2}m)?([0-9]{1,2}s)?$/,
  "must be a duration of at least 1s and below 100h, such as 10s, 1m or 1h30m",
  timerHints,
);

/**
 * A non-negative decimal number as a string, so that no float ever touches money. Its billionths fit a safe integer.
 */
export const decimal = worded(
  shortText,
  /^[0-8]?[0-9]{1,6}(\.[0-9]{1,9})?$/,
  'must be a decimal number in quotes below 9000000, such as "2.50"',
  [
    [/^[$€£¥]|[A-Za-z]{3}|[$€£¥]$/, 'must be the number alone, without a currency, such as "2.50": money is in USD'],
    [/,/, 'must not have a comma: a point stands before the fraction, and nothing between thousands, as in "1250.00"'],
    [/^-/, 'must not be negative: a number in quotes, such as "2.50"'],
    [/^[.]|[.]$/, 'needs a digit on each side of the point, such as "0.50"'],
    [/^[0-9]+[.][0-9]{10,}$/, 'can have at most nine digits after the point, such as "0.000000001"'],
  ],
);

/**
 * A calendar day, `YYYY-MM-DD`, in UTC. The pattern knows the lengths of months. `format: date` is not used: with it
 * the API server (1.36) accepts a list in place of a string.
 */
export const day = worded(
  shortText,
  z.regexes.date,
  "must be a day that exists, written year, month, day, such as 2027-02-28",
  [[/^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]/, "must be a day without a time, such as 2027-02-28; it begins at midnight UTC"]],
);

/** An RFC 3339 time, such as `2027-02-28T12:00:00Z`; without `format: date-time` for the same reason. */
export const moment = worded(
  z.string().max(40),
  z.regexes.datetime({ offset: true }),
  "must be an existing time with its zone, such as 2027-02-28T12:00:00Z",
  [
    [/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/, "needs a time and a zone after the day, such as 2027-02-28T12:00:00Z"],
    [
      /^[0-9-]{10}T[0-9:]+([.][0-9]+)?$/,
      "needs a zone at its end: Z for UTC, as in 2027-02-28T12:00:00Z, or an offset such as +09:00",
    ],
    [/^[0-9-]{10} /, "needs a T between day and time, and a zone, such as 2027-02-28T12:00:00Z"],
  ],
);

/** An IANA time zone; the operator checks that it exists. */
export const timeZone = worded(
  z.string().max(64),
  /^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/,
  "must be an IANA time zone, such as Asia/Tokyo, Europe/Berlin or UTC",
  [
    [/[0-9]:[0-9]/, "must be the name of an IANA time zone, such as Asia/Tokyo, and not an offset"],
    [/[A-Za-z] [A-Za-z]/, "must be an IANA time zone, with _ for each space, such as America/New_York"],
  ],
);

/** Lower-case name of a header. */
export const headerName = worded(
  z.string().max(64),
  /^[a-z0-9-]+$/,
  "must be a header's name in lower case: letters, digits and -, such as x-tenant",
  [
    [/:/, "must be the name of a header alone, without a colon and value, such as x-tenant"],
    [/[A-Z]/, "must be in lower case, such as x-tenant; callers may write it either way"],
  ],
);

/** A model's name as callers and routes write it. Slashes, colons and at signs occur in real model names. */
export const modelName = worded(
  z.string().max(128),
  /^[A-Za-z0-9]([A-Za-z0-9._:/@+-]*[A-Za-z0-9])?$/,
  "must be a model's name: letters, digits and ._:/@+-, the first and last a letter or digit, such as gpt-4o",
  [[/[*?]/, "must be one model's name: patterns with * or ? are not taken, so name each model"]],
);

/** A model's name, or a pattern in which one `*` stands for any characters. */
export const modelNameOrPattern = worded(
  z.string().max(128),
  /^([A-Za-z0-9]([A-Za-z0-9._:/@+-]*[A-Za-z0-9])?|[A-Za-z0-9._:/@+-]*[*][A-Za-z0-9._:/@+-]*)$/,
  "must be a model's name, or one with a * for any characters: letters, digits and ._:/@+-, such as gpt-4o or gpt-*",
  [
    [/[*].*[*]/, "can have one * only, such as gpt-*: name the others in further entries"],
    [/[?]/, "must not have ?: a * stands for any characters, such as gpt-*"],
  ],
);

/**
 * A user or group as an identity provider may name it: `auth0|5f7c8ec7`, `CORP\\bob`, `/llm/users`, `Domain Users`,
 * `Müller`. Any printable characters, with inner spaces.
 */
export const callerName = worded(
  z.string().max(128),
  /^[!-~¡-힣豈-￼]([ -~¡-힣豈-￼]*[!-~¡-힣豈-￼])?$/,
  "must be one name as the token or ApiKey says it, without control characters, such as alice@example.com or /llm/users",
  [[/^[A-Za-z0-9._@-]*[*?][A-Za-z0-9._@*?-]*$/, "must be one name: patterns with * or ? are not taken, so name each"]],
);

/** A free-form label that ends up in records and reports: user, team, role, tag. */
export const subject = worded(
  z.string().max(128),
  /^[A-Za-z0-9]([A-Za-z0-9._@:/+-]*[A-Za-z0-9])?$/,
  "must be letters, digits and ._@:/+-, the first and last a letter or digit, such as alice@example.com or data-science",
  [
    [/[*?]/, "must be one name: patterns with * or ? are not taken, so name each"],
    [/ /, "must not have spaces: use - or . for them, as in data-science"],
  ],
);

const theKeyItself: Hint = [
  /^[A-Za-z0-9_.=+/-]{20,}$/,
  "must be a name in lower case, and not what is secret itself: make a Secret of that, and name it here",
];

/** The name of a Secret. Some users write its content here by mistake. */
export const secretName = worded(
  z.string().max(253),
  /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
  "must be the name of a Secret: lower-case letters, digits, - and ., the first and last a letter or digit",
  [
    theKeyItself,
    noCapitals,
    noUnderscore,
    [/\//, "must be the name of a Secret alone, which is in the object's own namespace"],
  ],
).meta({ unquoted: true });

/** A key within a Secret. */
export const secretKey = worded(
  z.string().max(253),
  /^[-._a-zA-Z0-9]+$/,
  "must be a key of a Secret, which is the name of one of its values: letters, digits and -._, such as apiKey",
).meta({ unquoted: true });

/** Requirements on a Secret that an object refers to. */
export const secretConsent =
  'Its owner allows the use with the label sluice.dev/readable: "true", where the installation asks for it.';

export const secretKeyRef = z
  .strictObject({
    name: secretName.describe("Name of the Secret, in the object's namespace."),
    key: secretKey
      .optional()
      .describe("Key within the Secret. Default: each credential field is read from the key of the same name."),
  })
  .describe(`Reference to a Secret in the same namespace. ${secretConsent}`);

/** A label that Kubernetes accepts: a selector on any other would never match. */
export const labelName = worded(
  z.string().max(317),
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/,
  "must be the name of a label: at most 63 letters, digits and -_., the first and last a letter or digit, as in tier or example.com/tier",
);

export const labelValue = worded(
  z.string().max(63),
  /^([A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?)?$/,
  "must be the value of a label: letters, digits and -_., the first and last a letter or digit, such as gold",
);

const labels = z.record(labelName, labelValue);

export const labelSelector = z
  .strictObject({
    matchLabels: labels.optional().describe("Labels that a namespace must have."),
  })
  .describe("Selects namespaces by their labels.");

/** The grant for cross-namespace use, in Gateway API style: set by the owner of the object that is used. */
export const allowedNamespaces = z
  .strictObject({
    from: z
      .enum(["Same", "All", "Selector"])
      .default("Same")
      .describe("Same: this object's namespace. All: every namespace. Selector: namespaces that `selector` matches."),
    selector: labelSelector.optional(),
  })
  .meta({
    cel: [
      {
        rule: "self.from == 'Selector' ? has(self.selector) : !has(self.selector)",
        message: "set selector exactly when from is Selector",
      },
    ],
  });
