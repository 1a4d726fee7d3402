/** Headers and query parameters added to every call to a provider, for a gateway in front of it. */
import { z } from "zod";
import { headerName, secretConsent, secretKey, secretName } from "./scalars.ts";
import { worded } from "./worded.ts";

/** Headers that Sluice or the connection sets for every type of provider. */
const ownHeaders = [
  ...["host", "content-length", "content-type", "content-encoding", "transfer-encoding", "expect", "date", "cookie"],
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"],
  ...["upgrade", "accept", "accept-encoding", "traceparent", "tracestate", "idempotency-key", "x-request-id"],
];
const ownPrefixes = ["x-sluice-", "x-amz-", "sec-"];

const quoted = ownHeaders.map((name) => `'${name}'`).join(", ");
const prefixed = ownPrefixes.map((prefix) => `self.name.startsWith('${prefix}')`).join(" || ");

const value = worded(
  z.string().max(2048),
  /^[!-~]([ -~]*[!-~])?$/,
  "must be 1 to 2048 printable ASCII characters without a space at either end",
)
  .meta({ unquoted: true })
  .optional()
  .describe("The value itself, if it isn't secret.");

const valueFrom = z
  .strictObject({
    secretKeyRef: z
      .strictObject({
        name: secretName.describe("Name of the Secret, in the object's namespace."),
        key: secretKey.describe("Key within the Secret."),
      })
      .describe(`Reference to a value in a Secret in the same namespace. ${secretConsent}`),
  })
  .optional()
  .describe("Source of a secret value. A changed value is used from the next call on.");

const oneValue = { rule: "has(self.value) != has(self.valueFrom)", message: "set exactly one of value and valueFrom" };

export const headers = z
  .array(
    z.strictObject({ name: headerName.describe("Name in lower case."), value, valueFrom }).meta({
      cel: [
        oneValue,
        {
          rule: `!(self.name in [${quoted}] || ${prefixed})`,
          message: "names a header that Sluice, the caller or the connection sets; take it out",
        },
      ],
    }),
  )
  .max(16)
  .meta({ listType: "map", listMapKeys: ["name"] })
  .describe(
    "Headers added to every call, for a gateway in front of the provider, such as a subscription key of an API management service. Headers that the provider's type sets are refused.",
  );

export const query = z
  .array(
    z
      .strictObject({
        name: worded(
          z.string().max(64),
          /^[A-Za-z0-9._~-]+$/,
          "must be the name of a query parameter: letters, digits and ._~-, such as subscription-key",
          [[/=/, "must be the name alone: the value goes into value or valueFrom"]],
        ).describe("Name of the parameter."),
        value,
        valueFrom,
      })
      .meta({ cel: [oneValue] }),
  )
  .max(16)
  .meta({ listType: "map", listMapKeys: ["name"] })
  .describe("Query parameters added to every call, like spec.headers. They are URL-encoded.");

export type CallAdditionSpec = z.output<typeof query>[number];
