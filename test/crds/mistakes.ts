/**
 * What people write who are new to Sluice, as they write it, and what `kubectl apply` and `sluice lint` answer. Where
 * the API server checks types, required fields and bounds by itself, its answer can't be worded by us: those rows say
 * what it is, so that docs/operations.md stays true.
 */
import type { Kind } from "../../crds/kinds.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";

/** As the API server lists them. */
const quotedTypes = Object.keys(capabilitiesByType)
  .sort()
  .map((type) => `"${type}"`)
  .join(", ");

export interface Mistake {
  kind: Kind;
  /** YAML, since half of the mistakes are in what YAML makes of it. */
  manifest: string;
  /** A part of what kubectl prints. */
  kubectl: string;
  /** A part of what lint says of the object; absent: the object by itself is right to it, and the reader of the folder or the compiler tells. */
  lint?: string;
}

const header = (kind: string, version = "v1alpha1"): string =>
  `apiVersion: sluice.dev/${version}\nkind: ${kind}\nmetadata: {name: wrong}\nspec:\n`;
const lines = (...texts: string[]): string => texts.map((text) => `  ${text}\n`).join("");

const provider = (...more: string[]): string =>
  header("LLMProvider") + lines("type: OpenAI", "models: [{name: gpt-4o}]", ...more);
const model = (text: string): string => header("LLMProvider") + lines("type: OpenAI", `models: [${text}]`);
const policy = (...more: string[]): string =>
  header("RoutingPolicy") +
  lines("match: {models: [gpt-4o]}", "routing: {targets: [{provider: {name: openai}}]}", ...more);
const routing = (text: string): string =>
  header("RoutingPolicy") + lines("match: {models: [gpt-4o]}", `routing: {${text}}`);
const budget = (...more: string[]): string => header("Budget") + lines("period: Monthly", ...more);
const key = (...more: string[]): string =>
  header("ApiKey") + lines("user: alice@example.com", "writeTo: {name: alice-llm-key}", ...more);
const targets = "targets: [{provider: {name: openai}}]";

const quoted = (place: string, value: string, words: string): { kubectl: string; lint: string } => ({
  kubectl: `${place}: Invalid value: ${JSON.stringify(value)}: ${words}`,
  lint: `${place} ${words}`,
});
/** Where a secret is sometimes written by mistake, the value is not repeated. */
const unquoted = (place: string, words: string): { kubectl: string; lint: string } => ({
  kubectl: `${place}: Invalid value: ${words}`,
  lint: `${place} ${words}`,
});
const ruled = (place: string, words: string): { kubectl: string; lint: string } => ({
  kubectl: `${place}: Invalid value: ${words}`,
  lint: `${place}: ${words}`,
});
/** The API server's own words for a wrong type. */
const typed = (place: string, wanted: string, is: string, lint: string): { kubectl: string; lint: string } => ({
  kubectl: `${place}: Invalid value: "${is}": ${place} in body must be of type ${wanted}: "${is}"`,
  lint: `${place} ${lint}`,
});

const p = { kind: "LLMProvider" } as const;
const r = { kind: "RoutingPolicy" } as const;
const b = { kind: "Budget" } as const;
const k = { kind: "ApiKey" } as const;
const inQuotes = "must be a string, but is a number; put it in quotes";

/** A value in the wrong form: words of ours, from one source. */
export const worded: Record<string, Mistake> = {
  "a contact of two lines": {
    ...b,
    manifest: budget('amount: "5"', 'contact: "a\\nb"'),
    kubectl: "must be a line of at most 200 characters",
    lint: "spec.contact must be a line of at most 200 characters, such as an address, a channel or a link",
  },
  "a duration without a unit": {
    ...p,
    manifest: provider('timeouts: {total: "600"}'),
    ...quoted("spec.timeouts.total", "600", "needs a unit, such as 30s, 10m or 1h"),
  },
  "a duration with a fraction": {
    ...p,
    manifest: provider("timeouts: {total: 1.5h}"),
    ...quoted("spec.timeouts.total", "1.5h", "takes whole numbers only, such as 90m for one and a half hours"),
  },
  "a timeout in days": {
    ...p,
    manifest: provider("timeouts: {total: 1d}"),
    ...quoted("spec.timeouts.total", "1d", "must be below 100h, and in hours in place of days: 24h is one day"),
  },
  "a duration in words": {
    ...k,
    manifest: key("expiresAfter: 90 days"),
    ...quoted(
      "spec.expiresAfter",
      "90 days",
      "must be numbers with units and without spaces, such as 30s, 10m, 1h or 90d",
    ),
  },
  "a life of a token that is too long": {
    ...k,
    manifest: key("clientTokens: {maxLifetime: 2h}"),
    ...quoted(
      "spec.clientTokens.maxLifetime",
      "2h",
      "must be a duration of at most 1h in one unit, such as 90s, 10m or 1h",
    ),
  },
  "a day where a moment is wanted": {
    ...k,
    manifest: key("expiresAt: 2027-02-28"),
    ...quoted("spec.expiresAt", "2027-02-28", "needs a time and a zone after the day, such as 2027-02-28T12:00:00Z"),
  },
  "a clear key where a digest belongs": {
    ...k,
    manifest: key("digests: [{value: sk-proj-0123456789abcdef}]"),
    ...unquoted(
      "spec.digests[0].value",
      "must be the SHA-256 digest of a key, 64 hexadecimal digits, and never the key itself",
    ),
  },
  "a digest in capitals": {
    ...k,
    manifest: key(`digests: [{value: "${"AB".repeat(32)}"}]`),
    ...unquoted("spec.digests[0].value", "must be in lower case"),
  },
  "a digest with its algorithm before it": {
    ...k,
    manifest: key(`digests: [{value: "sha256:${"ab".repeat(32)}"}]`),
    ...unquoted("spec.digests[0].value", "must be the digest alone, without sha256: before it"),
  },
  "a day of another country": {
    ...p,
    manifest: model("{name: a, sunset: 28.02.2027}"),
    ...quoted(
      "spec.models[0].sunset",
      "28.02.2027",
      "must be a day that exists, written year, month, day, such as 2027-02-28",
    ),
  },
  "money with a currency": {
    ...b,
    manifest: budget("amount: $100"),
    ...quoted("spec.amount", "$100", 'must be the number alone, without a currency, such as "2.50": money is in USD'),
  },
  "money with a comma between thousands": {
    ...b,
    manifest: budget('amount: "1,000"'),
    ...quoted(
      "spec.amount",
      "1,000",
      'must not have a comma: a point stands before the fraction, and nothing between thousands, as in "1250.00"',
    ),
  },
  "a share in percent": {
    ...p,
    manifest: provider("retry: {jitter: 20%}"),
    ...quoted("spec.retry.jitter", "20%", 'must be a share and not percent: "0.2" for 20%'),
  },
  "a bound without its sign": {
    ...r,
    manifest: policy('alertWhen: {failover: "5%"}'),
    ...quoted("spec.alertWhen.failover", "5%", 'must begin with >, in quotes, such as ">5%"'),
  },
  "a bound without its unit": {
    ...p,
    manifest: provider('alertWhen: {latencyP95: ">30"}'),
    ...quoted("spec.alertWhen.latencyP95", ">30", 'needs a unit after the number, such as ">30s"'),
  },
  "a pattern of models": {
    ...r,
    manifest: header("RoutingPolicy") + lines("match: {models: [gpt-*-*]}", `routing: {${targets}}`),
    ...quoted(
      "spec.match.models[0]",
      "gpt-*-*",
      "can have one * only, such as gpt-*: name the others in further entries",
    ),
  },
  "two wildcards in one of a key's models": {
    ...k,
    manifest: key("models: [gpt-*-*]"),
    ...quoted("spec.models[0]", "gpt-*-*", "can have one * only, such as gpt-*: name the others in further entries"),
  },
  "a path that ends in a slash": {
    ...r,
    manifest: header("RoutingPolicy") + lines("match: {pathPrefix: /chat/}", `routing: {${targets}}`),
    ...quoted(
      "spec.match.pathPrefix",
      "/chat/",
      "must be a path in lower case that begins with / and doesn't end in /, such as /chat",
    ),
  },
  "an endpoint without a scheme": {
    ...p,
    manifest: provider("endpoint: llm.example.com/v1"),
    ...unquoted("spec.endpoint", "must begin with https:// or http://, such as https://llm.example.com/v1"),
  },
  "an endpoint with a placeholder left in": {
    ...p,
    manifest: provider("endpoint: https://<resource>.openai.azure.com"),
    ...unquoted(
      "spec.endpoint",
      "must be a whole URL, such as https://llm.example.com/v1: put your own name where <> or {} stand",
    ),
  },
  "a network with a mask": {
    ...r,
    manifest: policy("access: {networks: [10.0.0.0/255.0.0.0]}"),
    ...quoted(
      "spec.access.networks[0]",
      "10.0.0.0/255.0.0.0",
      "must have the length of the prefix after the /, such as 10.0.0.0/8; that is /24 for 255.255.255.0",
    ),
  },
  "a network with a longer prefix than there is": {
    ...r,
    manifest: policy("access: {networks: [10.0.0.0/33]}"),
    ...quoted(
      "spec.access.networks[0]",
      "10.0.0.0/33",
      "must have four numbers from 0 to 255, and after a / at most 32, such as 10.0.0.0/8",
    ),
  },
  "a range of addresses": {
    ...r,
    manifest: policy("access: {networks: [10.0.0.1-10.0.0.9]}"),
    ...quoted(
      "spec.access.networks[0]",
      "10.0.0.1-10.0.0.9",
      "must be networks such as 10.0.0.0/24, each an entry of its own: ranges with - are not taken",
    ),
  },
  "an offset for a time zone": {
    ...b,
    manifest: budget('amount: "5"', "timeZone: UTC+09:00"),
    ...quoted(
      "spec.timeZone",
      "UTC+09:00",
      "must be the name of an IANA time zone, such as Asia/Tokyo, and not an offset",
    ),
  },
  "hours of a clock with twelve": {
    ...r,
    manifest: policy("access: {hours: {from: 8am, to: 20:00, timeZone: UTC}}"),
    ...quoted(
      "spec.access.hours.from",
      "8am",
      "must be by the clock of 24 hours, such as 20:00 for eight in the evening",
    ),
  },
  "an hour of one digit": {
    ...r,
    manifest: policy("access: {hours: {from: 8:00, to: 20:00, timeZone: UTC}}"),
    ...quoted("spec.access.hours.from", "8:00", "needs two digits for the hour, such as 08:00"),
  },
  "a country by its name": {
    ...r,
    manifest: policy("access: {countries: {allow: [Germany]}}"),
    ...quoted(
      "spec.access.countries.allow[0]",
      "Germany",
      "must be a country's ISO 3166-1 code of two capitals, such as DE",
    ),
  },
  "a header in capitals": {
    ...r,
    manifest: policy("access: {consent: {header: X-Consent}}"),
    ...quoted(
      "spec.access.consent.header",
      "X-Consent",
      "must be in lower case, such as x-tenant; callers may write it either way",
    ),
  },
  "an object's name in capitals": {
    ...r,
    manifest: routing("targets: [{provider: {name: OpenAI}}]"),
    ...quoted("spec.routing.targets[0].provider.name", "OpenAI", "must be in lower case, as all names of objects are"),
  },
  "a namespace before the name": {
    ...r,
    manifest: routing("targets: [{provider: {name: platform/openai}}]"),
    ...quoted(
      "spec.routing.targets[0].provider.name",
      "platform/openai",
      "must be the name of an object alone, without its kind or namespace before a /",
    ),
  },
  "a team with a space": {
    ...k,
    manifest: key("team: data science"),
    ...quoted("spec.team", "data science", "must not have spaces: use - or . for them, as in data-science"),
  },
  "an origin with a path": {
    ...k,
    manifest: key("clientTokens: {origins: ['https://chat.example.com/']}"),
    ...quoted(
      "spec.clientTokens.origins[0]",
      "https://chat.example.com/",
      "must end after the host or port, without a / and path, such as https://chat.example.com",
    ),
  },
  "certificates in base64": {
    ...p,
    manifest: provider("tls: {caBundle: LS0tLS1CRUdJTg==}"),
    ...unquoted(
      "spec.tls.caBundle",
      "must be certificates in PEM, not base64-encoded again; the first line is -----BEGIN CERTIFICATE-----",
    ),
  },
  "an empty value, as a template leaves it": {
    ...p,
    manifest: provider('timeouts: {total: ""}'),
    ...quoted(
      "spec.timeouts.total",
      "",
      "must be a duration above zero and below 100h, such as 500ms, 30s, 10m or 1h30m",
    ),
  },
  "the key itself for the name of its Secret": {
    ...p,
    manifest: provider("credentials: {secretRef: {name: sk-Planted-0123456789abcdef}}"),
    ...unquoted(
      "spec.credentials.secretRef.name",
      "must be a name in lower case, and not what is secret itself: make a Secret of that, and name it here",
    ),
  },
  "a Secret's key with a space": {
    ...p,
    manifest: provider("credentials: {secretRef: {name: openai, key: api key}}"),
    ...unquoted(
      "spec.credentials.secretRef.key",
      "must be a key of a Secret, which is the name of one of its values: letters, digits and -._, such as apiKey",
    ),
  },
  "a password in an endpoint": {
    ...p,
    manifest: provider("endpoint: 'https://user:planted@llm.example.com'"),
    ...unquoted(
      "spec.endpoint",
      "must not have a user or password in it: credentials go into a Secret that spec.credentials.secretRef names",
    ),
  },
  "a private key among certificates": {
    ...p,
    manifest: provider('tls: {caBundle: "-----BEGIN EC PRIVATE KEY-----\\nplanted"}'),
    ...unquoted(
      "spec.tls.caBundle",
      "must contain only certificates: put the private key into the Secret that clientCertificate.secretRef names",
    ),
  },
  "a header's value of two lines": {
    ...p,
    manifest: provider('headers: [{name: x-route, value: "a\\nplanted"}]'),
    ...unquoted("spec.headers[0].value", "must be 1 to 2048 printable ASCII characters without a space at either end"),
  },
  "a header with capitals": {
    ...p,
    manifest: provider("headers: [{name: X-Route, value: a}]"),
    ...quoted(
      "spec.headers[0].name",
      "X-Route",
      "must be in lower case, such as x-tenant; callers may write it either way",
    ),
  },
  "a query parameter with its value": {
    ...p,
    manifest: provider("query: [{name: a=b, value: c}]"),
    ...quoted("spec.query[0].name", "a=b", "must be the name alone: the value goes into value or valueFrom"),
  },
  "two of which one is wanted": {
    ...r,
    manifest: policy("limits: [{per: User, requests: 5, tokens: 6}]"),
    ...ruled(
      "spec.limits[0]",
      "set exactly one of requests, tokens, concurrency and duration; write a second limit for the other",
    ),
  },
  "none of which one is wanted": {
    ...r,
    manifest: policy("limits: [{per: User, window: 1m}]"),
    ...ruled(
      "spec.limits[0]",
      "set exactly one of requests, tokens, concurrency and duration; write a second limit for the other",
    ),
  },
  "a duration of what is no session": {
    ...r,
    manifest: policy("limits: [{per: User, duration: 4h}]"),
    ...ruled("spec.limits[0]", "duration is for sessions: set per: Session, or use requests, tokens or concurrency"),
  },
  "a duration in a budget for all": {
    ...b,
    manifest: budget("limits: [{duration: 4h}]"),
    ...ruled("spec", "a duration in limits is for sessions: set per: Session"),
  },
  "a preset of another type": {
    ...p,
    manifest: provider("preset: Groq"),
    ...ruled("spec", "spec.preset needs type: OpenAICompatible"),
  },
  "a preset in lower case": {
    ...p,
    manifest: header("LLMProvider") + lines("type: OpenAICompatible", "preset: groq", "models: [{name: gpt-4o}]"),
    kubectl: 'spec.preset: Unsupported value: "groq": supported values: ',
    lint: "did you mean Groq?",
  },
  "one of two that belong together": {
    ...b,
    manifest: header("Budget") + lines('amount: "5"'),
    ...ruled("spec", "amount and period belong together: set both or neither"),
  },
};

/** What the API server says by itself. */
export const others: Record<string, Mistake> = {
  "a Secret by its name alone": {
    ...p,
    manifest: provider("credentials: {secretRef: openai-key}"),
    ...typed(
      "spec.credentials.secretRef",
      "object",
      "string",
      "must be an object, but is a string; write name: and the name below it",
    ),
  },
  "the key itself": {
    ...p,
    manifest: provider("credentials: {apiKey: sk-planted}"),
    kubectl: 'unknown field "spec.credentials.apiKey"',
    lint: "unknown field spec.credentials.apiKey",
  },
  "a Secret as a Pod names it": {
    ...p,
    manifest: provider("credentials: {secretKeyRef: {name: a, key: b}}"),
    kubectl: 'unknown field "spec.credentials.secretKeyRef"',
    lint: "unknown field spec.credentials.secretKeyRef; did you mean secretRef?",
  },
  "a Secret without a name": {
    ...p,
    manifest: provider("credentials: {secretRef: {key: apiKey}}"),
    kubectl: "spec.credentials.secretRef.name: Required value",
    lint: "spec.credentials.secretRef.name is required",
  },
  "a provider by its name alone": {
    ...r,
    manifest: routing("targets: [{provider: openai}]"),
    ...typed(
      "spec.routing.targets[0].provider",
      "object",
      "string",
      "must be an object, but is a string; write name: and the name below it",
    ),
  },
  "models as plain names": {
    ...p,
    manifest: model("gpt-4o"),
    ...typed(
      "spec.models[0]",
      "object",
      "string",
      "must be an object, but is a string; write name: and the name below it",
    ),
  },
  "a number of seconds": {
    ...p,
    manifest: provider("timeouts: {total: 30}"),
    ...typed("spec.timeouts.total", "string", "integer", inQuotes),
  },
  "money that is not in quotes": {
    ...b,
    manifest: budget("amount: 100"),
    ...typed("spec.amount", "string", "integer", inQuotes),
  },
  "money with a fraction that is not in quotes": {
    ...p,
    manifest: model('{name: a, price: {inputPerMillion: 2.50, outputPerMillion: "10"}}'),
    ...typed(
      "spec.models[0].price.inputPerMillion",
      "string",
      "number",
      "must be a string, but is a number with a fraction; put it in quotes",
    ),
  },
  "a number in quotes": {
    ...p,
    manifest: provider('retry: {attempts: "3"}'),
    ...typed(
      "spec.retry.attempts",
      "integer",
      "string",
      "must be a whole number, but is a string; write it without quotes",
    ),
  },
  "a flag in quotes": {
    ...k,
    manifest: key('revoked: "true"'),
    ...typed("spec.revoked", "boolean", "string", "must be true or false, but is a string; write it without quotes"),
  },
  "a share of traffic in percent": {
    ...r,
    manifest: routing("targets: [{provider: {name: openai}, weight: 50%}]"),
    ...typed("spec.routing.targets[0].weight", "integer", "string", "must be a whole number, but is a string"),
  },
  "a country that YAML takes for false": {
    ...r,
    manifest: policy("access: {countries: {allow: [SE, NO]}}"),
    kubectl:
      'spec.access.countries.allow[1]: Invalid value: "boolean": spec.access.countries.allow[1] in body must be of type string: "boolean"',
  },
  "a regular expression that is none": {
    ...r,
    manifest: policy("guard: {deny: ['(a']}"),
    kubectl:
      "error parsing regexp: missing closing ): `(a` evaluating rule: must be a regular expression of RE2, which has no look-around and no back-references",
  },
  "a regular expression with a look-ahead": {
    ...r,
    manifest: policy("guard: {mask: {custom: [{name: Id, pattern: 'a(?=b)'}]}}"),
    kubectl:
      "error parsing regexp: invalid or unsupported Perl syntax: `(?=` evaluating rule: must be a regular expression of RE2",
  },
  "a mask for the empty text": {
    ...r,
    manifest: policy("guard: {mask: {custom: [{name: Id, pattern: '[0-9]*'}]}}"),
    kubectl:
      'spec.guard.mask.custom[0].pattern: Invalid value: "[0-9]*": must be a regular expression of RE2, which has no look-around and no back-references, and one that the empty text does not match',
  },
  "a place in an alert's text that stands for nothing": {
    ...b,
    manifest: budget(
      'amount: "5"',
      "alerts: [{email: {to: [a@example.com]}, message: 'at {{percent}} of {{amuont}}'}]",
    ),
    kubectl: "has an unknown {{placeholder}}; known placeholders are {{budget}}, {{subject}}",
  },
  "one for a list": {
    ...k,
    manifest: key("tags: internal"),
    ...typed("spec.tags", "array", "string", "must be a list, but is a string; put it in [ ]"),
  },
  "an object for a list": {
    ...r,
    manifest: policy("limits: {per: User, requests: 5}"),
    kubectl: 'unknown field "spec.limits.per", unknown field "spec.limits.requests"',
    lint: "spec.limits must be a list, but is an object; put a - before its first field",
  },
  "a number below the least": {
    ...p,
    manifest: provider("retry: {attempts: 0}"),
    kubectl: "spec.retry.attempts: Invalid value: 0: spec.retry.attempts in body should be greater than or equal to 1",
    lint: "spec.retry.attempts must be at least 1",
  },
  "a word in lower case": {
    ...p,
    manifest: header("LLMProvider") + lines("type: openai", "models: [{name: gpt-4o}]"),
    kubectl: `spec.type: Unsupported value: "openai": supported values: ${quotedTypes}`,
    lint: "Watsonx; did you mean OpenAI?",
  },
  "a field that is missing": {
    ...r,
    manifest: header("RoutingPolicy") + lines("match: {models: [gpt-4o]}"),
    kubectl: "spec.routing: Required value",
    lint: "spec.routing is required",
  },
  "a field that is misspelt": {
    ...k,
    manifest: key("usr: bob"),
    kubectl: 'unknown field "spec.usr"',
    lint: "unknown field spec.usr; did you mean user?",
  },
  "spec misspelt": {
    ...k,
    manifest: key().replace("spec:", "specs:"),
    kubectl: 'unknown field "specs"',
    lint: "unknown field specs; did you mean spec?",
  },
  "the same twice": {
    ...p,
    manifest: model("{name: a}, {name: a}"),
    kubectl: 'spec.models[1]: Duplicate value: {"name":"a"}',
    lint: 'spec.models[1]: is in the list twice: "a"; remove one',
  },
  "a version that doesn't exist": {
    ...k,
    manifest: key().replace("v1alpha1", "v1"),
    kubectl: 'no matches for kind "ApiKey" in version "sluice.dev/v1"',
    lint: "apiVersion must be sluice.dev/v1alpha1",
  },
};
