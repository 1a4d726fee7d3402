/** Specs that must be refused, and specs that must be taken, by the API server and by the offline parse alike. */
import type { Kind } from "../../crds/kinds.ts";

type Spec = Record<string, unknown>;

export interface Refusal {
  kind: Kind;
  spec: Spec;
  /** What the API server says. */
  server: RegExp;
  /** What lint says. */
  offline: RegExp;
}

const provider = (more: Spec): Spec => ({ type: "OpenAI", models: [{ name: "gpt-4o" }], ...more });
const target = { provider: { name: "openai" } };
const policy = (more: Spec): Spec => ({ match: { models: ["gpt-4o"] }, routing: { targets: [target] }, ...more });
const embeddings = { provider: { name: "openai" }, model: "text-embedding-3-small" };
const semantic = (more: Spec): Spec => policy({ cache: { semantic: { embeddings, threshold: "0.95", ...more } } });
const routing = (more: Spec): Spec => policy({ routing: { targets: [target], ...more } });
const budget = (more: Spec): Spec => ({ amount: "10.00", period: "Daily", ...more });
const apiKey = (more: Spec): Spec => ({ user: "alice@example.com", writeTo: { name: "alice-llm-key" }, ...more });

const same = (kind: Kind, spec: Spec, message: RegExp): Refusal => ({ kind, spec, server: message, offline: message });
const apart = (kind: Kind, spec: Spec, server: RegExp, offline: RegExp): Refusal => ({ kind, spec, server, offline });

const badUrl =
  /spec\.endpoint:? .*must be an http or https URL without user, query and fragment, such as https:\/\/llm\.example\.com\/v1/;
const callers =
  /spec\.request\.(defaults|overrides): .*messages, input, prompt and stream belong to the caller; set model, temperature, max_tokens/;
const many = (length: number): string[] => Array.from({ length }, (_, at) => `m${at}`);

const mailed = { to: ["a@example.com"] };
const tried = { target: "openai", percent: 5, for: "1h", succeedWhen: { errorRate: "<1%" } };
const oneCriterion = (field: string): RegExp =>
  new RegExp(`spec\\.routing\\.canary\\.${field}: .*set at least one of errorRate, latencyP95, costIncrease`);

/** Every rule of the schemas is in here: a test counts them. */
export const ruleRefusals: Record<string, Refusal> = {
  "a digest for PagerDuty": same(
    "Budget",
    budget({ alerts: [{ pagerDuty: { secretRef: { name: "a", key: "k" } }, digest: "1h" }] }),
    /spec\.alerts\[0\]: .*digest is not for pagerDuty, which groups incidents itself/,
  ),
  "a preset of another type": same(
    "LLMProvider",
    provider({ type: "OpenAI", preset: "Groq" }),
    /spec: .*spec\.preset needs type: OpenAICompatible/,
  ),
  "both kinds of credentials": same(
    "LLMProvider",
    provider({ credentials: { secretRef: { name: "k" }, workloadIdentity: { aws: {} } } }),
    /spec\.credentials: .*set exactly one of secretRef and workloadIdentity/,
  ),
  "a provider without models": same(
    "LLMProvider",
    { type: "OpenAI", models: [] },
    /spec: .*name at least one model in spec\.models, or set spec\.discovery/,
  ),
  "a pool of a Service and of addresses": same(
    "LLMProvider",
    provider({
      endpoint: "http://vllm.models.svc:8000/v1",
      allowPrivateEndpoint: true,
      pool: { service: { name: "vllm" }, addresses: ["10.0.0.1:8000"] },
    }),
    /spec\.pool: .*set exactly one of service, addresses and inferencePool/,
  ),
  "a picker with authorities and without TLS": same(
    "LLMProvider",
    provider({
      endpoint: "http://vllm.models.svc:8000/v1",
      allowPrivateEndpoint: true,
      pool: {
        inferencePool: { name: "vllm", picker: { plaintext: true, caBundle: "-----BEGIN CERTIFICATE-----\n" } },
      },
    }),
    /spec\.pool\.inferencePool\.picker: .*caBundle is for TLS: take out caBundle or plaintext/,
  ),
  "a pool at public addresses": same(
    "LLMProvider",
    provider({ endpoint: "http://vllm.models.svc:8000/v1", pool: { service: { name: "vllm" } } }),
    /spec: .*spec\.pool needs an endpoint and allowPrivateEndpoint: true, because its servers have private addresses/,
  ),
  "a header of the connection": same(
    "LLMProvider",
    provider({ headers: [{ name: "content-length", value: "1" }] }),
    /spec\.headers\[0\]: .*names a header that Sluice, the caller or the connection sets; take it out/,
  ),
  "a header of Sluice's": same(
    "LLMProvider",
    provider({ headers: [{ name: "x-sluice-cache", value: "1" }] }),
    /spec\.headers\[0\]: .*names a header that Sluice, the caller or the connection sets; take it out/,
  ),
  "a header without a value": same(
    "LLMProvider",
    provider({ headers: [{ name: "x-route" }] }),
    /spec\.headers\[0\]: .*set exactly one of value and valueFrom/,
  ),
  "a parameter with two values": same(
    "LLMProvider",
    provider({ query: [{ name: "a", value: "1", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }] }),
    /spec\.query\[0\]: .*set exactly one of value and valueFrom/,
  ),
  "identities of two clouds": same(
    "LLMProvider",
    provider({ credentials: { workloadIdentity: { aws: {}, google: {} } } }),
    /spec\.credentials\.workloadIdentity: .*set exactly one of aws, azure and google; \{\} is the proxies' own identity/,
  ),
  "an external id without a role": same(
    "LLMProvider",
    provider({ credentials: { workloadIdentity: { aws: { externalId: "ext-1" } } } }),
    /spec\.credentials\.workloadIdentity\.aws: .*externalId and sessionTags need roleArn/,
  ),
  "a tenant without a client": same(
    "LLMProvider",
    provider({ credentials: { workloadIdentity: { azure: { tenantId: "11111111-2222-3333-4444-555555555555" } } } }),
    /spec\.credentials\.workloadIdentity\.azure: .*tenantId needs clientId/,
  ),
  "more samples at least than there are": same(
    "RoutingPolicy",
    routing({ leastLatency: { samples: 5, minimumSamples: 6 } }),
    /spec\.routing\.leastLatency: .*minimumSamples must not be above samples/,
  ),
  "an alert without a channel": same(
    "Budget",
    budget({ alerts: [{ events: ["Spike"] }] }),
    /spec\.alerts\[0\]: .*set exactly one of slack, email, pagerDuty and webhook/,
  ),
  "alerts about no money": same(
    "Budget",
    { limits: [{ requests: 1 }], alerts: [{ email: { to: ["a@example.com"] } }] },
    /spike and alerts need an amount/,
  ),
  "a provider's alert without a channel": same(
    "LLMProvider",
    provider({ alertWhen: {}, alerts: [{ events: ["BreakerOpen"] }] }),
    /spec\.alerts\[0\]: .*set exactly one of slack, email, pagerDuty and webhook/,
  ),
  "a policy's alert with two channels": same(
    "RoutingPolicy",
    policy({
      alertWhen: { failover: ">0%" },
      alerts: [{ email: mailed, slack: { secretRef: { name: "alerts", key: "slack" } } }],
    }),
    /spec\.alerts\[0\]: .*set exactly one of slack, email, pagerDuty and webhook/,
  ),
  "a provider's alerts of nothing": same(
    "LLMProvider",
    provider({ alerts: [{ email: mailed }] }),
    /set alertWhen as well/,
  ),
  "a policy's alerts of nothing": same(
    "RoutingPolicy",
    policy({ alerts: [{ email: mailed }] }),
    /set alertWhen as well/,
  ),
  "a provider of which nothing is watched": same(
    "LLMProvider",
    provider({ alertWhen: { breakerOpen: false, unhealthy: false } }),
    /spec\.alertWhen: .*set at least one of breakerOpen, unhealthy, errorRate, latencyP95 and firstTokenP95/,
  ),
  "a policy of which nothing is watched": same(
    "RoutingPolicy",
    policy({ alertWhen: {} }),
    /spec\.alertWhen: .*set at least one of failover, errorRate, latencyP95 and firstTokenP95/,
  ),
  "a provider's health without a check": same(
    "LLMProvider",
    provider({ alertWhen: { unhealthy: true } }),
    /alertWhen\.unhealthy needs a healthCheck/,
  ),
  "a spike of something that never ends": same(
    "Budget",
    budget({ period: "Total", spike: { factor: "2.0" } }),
    /spike compares periods, and Total has only one/,
  ),
  "a mask for nothing": same(
    "RoutingPolicy",
    policy({ guard: { mask: { detect: [] } } }),
    /spec\.guard\.mask: .*set detect or custom: otherwise nothing is masked/,
  ),
  "a selector's condition without values": same(
    "Budget",
    budget({ scope: { selector: { matchExpressions: [{ key: "tier", operator: "In" }] } } }),
    /In and NotIn need values, Exists and DoesNotExist have none/,
  ),
  "a budget that holds nothing": same(
    "Budget",
    { scope: { users: ["alice"] } },
    /set amount and period, or limits, or both/,
  ),
  "a budget without a period": same("Budget", { amount: "10" }, /amount and period belong together/),
  "a throttle without an amount": same(
    "Budget",
    { limits: [{ requests: 1 }], throttle: { atPercent: 90, passPercent: 50 } },
    /throttle needs an amount: set amount and period/,
  ),
  "a budget's limit of two things": same(
    "Budget",
    budget({ limits: [{ requests: 1, tokens: 1 }] }),
    /spec\.limits\[0\]: .*set exactly one of requests, tokens, concurrency and duration/,
  ),
  "a shadow that sets the caller's messages": same(
    "RoutingPolicy",
    routing({ shadow: { target: { ...target, parameters: { messages: [] } }, percent: 5 } }),
    /spec\.routing\.shadow\.target\.parameters: .*messages, input, prompt and stream belong to the caller/,
  ),
  "a canary that nothing is asked of": same(
    "RoutingPolicy",
    routing({ canary: { ...tried, succeedWhen: {} } }),
    oneCriterion("succeedWhen"),
  ),
  "a canary's roll-back without a reason": same(
    "RoutingPolicy",
    routing({ canary: { ...tried, rollBackWhen: {} } }),
    oneCriterion("rollBackWhen"),
  ),
  "an endpoint of another scheme": same("LLMProvider", provider({ endpoint: "ftp://llm.example.com" }), badUrl),
  "an endpoint without a scheme": same(
    "LLMProvider",
    provider({ endpoint: "llm.example.com/v1" }),
    /spec\.endpoint.* must begin with https:\/\/ or http:\/\//,
  ),
  "an endpoint without a host": same("LLMProvider", provider({ endpoint: "https:///v1" }), badUrl),
  "an endpoint with a password in it": same(
    "LLMProvider",
    provider({ endpoint: "https://user:pass@llm.example.com" }),
    /spec\.endpoint.* must not have a user or password in it: credentials go into a Secret/,
  ),
  "an endpoint with a query, which would be ignored": same(
    "LLMProvider",
    provider({ endpoint: "https://llm.example.com/v1?version=2" }),
    /spec\.endpoint.* must end before any \? or #/,
  ),
  "an endpoint at a port that doesn't exist": same(
    "LLMProvider",
    provider({ endpoint: "https://llm.example.com:65536" }),
    badUrl,
  ),
  "an endpoint at an IPv4 address that doesn't exist": same(
    "LLMProvider",
    provider({ endpoint: "http://10.0.0.256" }),
    badUrl,
  ),
  "an endpoint at an IPv6 address that doesn't exist": same(
    "LLMProvider",
    provider({ endpoint: "http://[::1::2]" }),
    badUrl,
  ),
  "TLS to an endpoint without it": same(
    "LLMProvider",
    provider({ endpoint: "http://llm", tls: { serverName: "llm" } }),
    /tls needs an endpoint that begins with https:/,
  ),
  "a client certificate from nowhere": same(
    "LLMProvider",
    provider({ tls: { clientCertificate: {} } }),
    /spec\.tls\.clientCertificate.*secretRef/s,
  ),
  "authorities that are no PEM": apart(
    "LLMProvider",
    provider({ tls: { caBundle: "c2VjcmV0" } }),
    /spec\.tls\.caBundle/,
    /must be certificates in PEM/,
  ),
  "a token service without TLS": same("LLMProvider", provider({ tokenService: {} }), /spec\.tokenService.*tls/s),
  "authorities of a token service that are no PEM": apart(
    "LLMProvider",
    provider({ tokenService: { tls: { caBundle: "c2VjcmV0" } } }),
    /spec\.tokenService\.tls\.caBundle/,
    /must be certificates in PEM/,
  ),
  "a server's name with a scheme": apart(
    "LLMProvider",
    provider({ tls: { serverName: "https://a" } }),
    /spec\.tls\.serverName/,
    /must be a DNS name without scheme/,
  ),
  "an endpoint with a space": same("LLMProvider", provider({ endpoint: "https://llm.example.com/my models" }), badUrl),
  "an option's name that is too long": same(
    "LLMProvider",
    provider({ options: { ["x".repeat(64)]: "y" } }),
    /spec\.options.*at most 63 characters/s,
  ),
  "a grant by selector without a selector": same(
    "LLMProvider",
    provider({ allowedNamespaces: { from: "Selector" } }),
    /spec\.allowedNamespaces: .*set selector exactly when from is Selector/,
  ),
  "a selector that would be ignored": same(
    "RoutingPolicy",
    policy({ allowedNamespaces: { from: "All", selector: { matchLabels: { tier: "gold" } } } }),
    /spec\.allowedNamespaces: .*set selector exactly when from is Selector/,
  ),
  "a label's name that is too long": same(
    "LLMProvider",
    provider({ allowedNamespaces: { from: "Selector", selector: { matchLabels: { ["x".repeat(318)]: "y" } } } }),
    /matchLabels.*at most 317 characters/s,
  ),
  "a policy that matches nothing": same(
    "RoutingPolicy",
    policy({ match: {} }),
    /spec\.match: .*name at least one of models and pathPrefix/,
  ),
  "a path that is reserved": same(
    "RoutingPolicy",
    policy({ match: { pathPrefix: "/v1" } }),
    /spec\.match\.pathPrefix: .*must not lie under \/v1/,
  ),
  "a path below the one that is reserved": same(
    "RoutingPolicy",
    policy({ match: { pathPrefix: "/v1/chat" } }),
    /spec\.match\.pathPrefix: .*must not lie under \/v1/,
  ),
  "a cache that would mix models up": same(
    "RoutingPolicy",
    policy({ cache: { key: ["Prompt"] } }),
    /spec\.cache\.key: .*key must contain Model and Prompt/,
  ),
  "a limit on nothing": same(
    "RoutingPolicy",
    policy({ limits: [{ per: "User" }] }),
    /spec\.limits\[0\]: .*set exactly one of requests, tokens, concurrency and duration/,
  ),
  "a duration of what is no session": same(
    "RoutingPolicy",
    policy({ limits: [{ per: "User", duration: "4h" }] }),
    /spec\.limits\[0\]: .*duration is for sessions: set per: Session, or use requests, tokens or concurrency/,
  ),
  "a duration in a budget for all": same(
    "Budget",
    budget({ limits: [{ duration: "4h" }] }),
    /a duration in limits is for sessions: set per: Session/,
  ),
  "a key's limit on two things": same(
    "ApiKey",
    apiKey({ limits: [{ requests: 1, tokens: 1 }] }),
    /spec\.limits\[0\]: .*set exactly one of requests/,
  ),
  "a guard that guards nothing": same(
    "RoutingPolicy",
    policy({ guard: {} }),
    /spec\.guard: .*set at least one of deny, allow, maxPromptBytes and mask/,
  ),
  "a rotation without a time": same(
    "ApiKey",
    apiKey({ rotation: { grace: "7d" } }),
    /spec\.rotation: .*set every, requestedAt or both/,
  ),
  "anonymous callers that need a role": same(
    "RoutingPolicy",
    policy({ match: { pathPrefix: "/chat" }, access: { anonymous: true, roles: ["developer"] } }),
    /spec\.access: .*anonymous callers have no role, team or tag/,
  ),
  "anonymous callers that need a tag": same(
    "RoutingPolicy",
    policy({ match: { pathPrefix: "/chat" }, access: { anonymous: true, tags: ["internal"] } }),
    /spec\.access: .*anonymous callers have no role, team or tag/,
  ),
  "anonymous callers in addition to those with keys": same(
    "RoutingPolicy",
    policy({ access: { anonymous: true } }),
    /spec: .*an anonymous policy needs match\.pathPrefix/,
  ),
  "client tokens for a page with a path": same(
    "ApiKey",
    apiKey({ clientTokens: { origins: ["https://chat.example.com/"] } }),
    /spec\.clientTokens\.origins/,
  ),
  "client tokens that live too long": same(
    "ApiKey",
    apiKey({ clientTokens: { maxLifetime: "61m" } }),
    /spec\.clientTokens\.maxLifetime/,
  ),
  "countries both ways": same(
    "RoutingPolicy",
    policy({ access: { countries: { allow: ["DE"], deny: ["FR"] } } }),
    /spec\.access\.countries: .*set either allow or deny/,
  ),
  "a country that is no code": same(
    "RoutingPolicy",
    policy({ access: { countries: { allow: ["de"] } } }),
    /spec\.access\.countries\.allow/,
  ),
  "hours without length": same(
    "RoutingPolicy",
    policy({ access: { hours: { from: "08:00", to: "08:00", timeZone: "UTC" } } }),
    /spec\.access\.hours: .*from and to must differ/,
  ),
  "an hour that no clock shows": same(
    "RoutingPolicy",
    policy({ access: { hours: { from: "24:00", to: "08:00", timeZone: "UTC" } } }),
    /spec\.access\.hours\.from/,
  ),
  "a network that is a name": same(
    "RoutingPolicy",
    policy({ access: { networks: ["office"] } }),
    /spec\.access\.networks/,
  ),
  "a consent header in capitals": same(
    "RoutingPolicy",
    policy({ access: { consent: { header: "X-Consent" } } }),
    /spec\.access\.consent\.header/,
  ),
  "residency nowhere": same(
    "RoutingPolicy",
    policy({ access: { residency: { regions: [] } } }),
    /spec\.access\.residency\.regions/,
  ),
  "a default for messages": same(
    "RoutingPolicy",
    policy({ request: { defaults: { messages: [{ role: "user", content: "hi" }] } } }),
    callers,
  ),
  "an override of stream": same("RoutingPolicy", policy({ request: { overrides: { stream: true } } }), callers),
  "an override of input": same("RoutingPolicy", policy({ request: { overrides: { input: "hi" } } }), callers),
  "a default for prompt": same("RoutingPolicy", policy({ request: { defaults: { prompt: "hi" } } }), callers),
  "affinity by a header that isn't named": same(
    "RoutingPolicy",
    routing({ affinity: { by: "Header" } }),
    /spec\.routing\.affinity: .*set header exactly when by is Header/,
  ),
  "affinity by user with a header that would be ignored": same(
    "RoutingPolicy",
    routing({ affinity: { by: "User", header: "x-user" } }),
    /spec\.routing\.affinity: .*set header exactly when by is Header/,
  ),
  "affinity by session with a header, which belongs elsewhere": same(
    "RoutingPolicy",
    routing({ affinity: { by: "Session", header: "x-run" } }),
    /spec\.routing\.affinity: .*set header exactly when by is Header/,
  ),
  "a session's header in upper case": same(
    "RoutingPolicy",
    policy({ session: { header: "X-Run" } }),
    /spec\.session\.header:? .*must be in lower case/,
  ),
  "a key that expires twice": same(
    "ApiKey",
    apiKey({ expiresAt: "2027-02-28T12:00:00Z", expiresAfter: "90d" }),
    /spec: .*set expiresAt or expiresAfter, not both/,
  ),
  "a key without a Secret and digests": same("ApiKey", { user: "a" }, /set writeTo, the Secret that holds the key/),
  "a rotation of keys that are known by their digest": same(
    "ApiKey",
    { user: "a", digests: [{ value: "ab".repeat(32) }], rotation: { every: "30d" } },
    /rotation needs writeTo/,
  ),
};

export const boundRefusals: Record<string, Refusal> = {
  "a canary's bound the wrong way round": same(
    "RoutingPolicy",
    routing({ canary: { ...tried, succeedWhen: { errorRate: ">1%" } } }),
    /spec\.routing\.canary\.succeedWhen\.errorRate.*must begin with <, in quotes, such as "<1%"/,
  ),
  "a canary that gets everything": apart(
    "RoutingPolicy",
    routing({ canary: { ...tried, percent: 100 } }),
    /spec\.routing\.canary\.percent.*should be less than or equal to 99/,
    /spec\.routing\.canary\.percent/,
  ),
  "a provider without a type": apart(
    "LLMProvider",
    { models: [{ name: "a" }] },
    /spec\.type: Required value/,
    /spec\.type is required/,
  ),
  "a type that doesn't exist": apart(
    "LLMProvider",
    provider({ type: "OpenAi" }),
    /spec\.type: Unsupported value/,
    /did you mean OpenAI\?/,
  ),
  "too many models": apart(
    "LLMProvider",
    provider({ models: many(257).map((name) => ({ name })) }),
    /must have at most 256 items/,
    /at most 256 entries long/,
  ),
  "a model twice": apart(
    "LLMProvider",
    provider({ models: [{ name: "a" }, { name: "a" }] }),
    /spec\.models\[1\]: Duplicate value/,
    /spec\.models\[1\]: is in the list twice/,
  ),
  "a model's name with a blank": same(
    "LLMProvider",
    provider({ models: [{ name: "gpt 4" }] }),
    /spec\.models\[0\]\.name.*must be a model's name/,
  ),
  "a model's name that is too long": apart(
    "LLMProvider",
    provider({ models: [{ name: "x".repeat(129) }] }),
    /may not be more than 128/,
    /at most 128 characters/,
  ),
  "a price as a number": apart(
    "LLMProvider",
    provider({ models: [{ name: "a", price: { inputPerMillion: 2.5, outputPerMillion: "10" } }] }),
    /inputPerMillion.*must be of type string/,
    /put it in quotes/,
  ),
  "a negative price": same(
    "LLMProvider",
    provider({ models: [{ name: "a", price: { inputPerMillion: "-1", outputPerMillion: "10" } }] }),
    /inputPerMillion.*must not be negative/,
  ),
  "a price that leaves the safe integers": same(
    "LLMProvider",
    provider({ models: [{ name: "a", price: { inputPerMillion: "9000000", outputPerMillion: "10" } }] }),
    /inputPerMillion.*below 9000000/,
  ),
  "an amount that leaves the safe integers": same("Budget", budget({ amount: "9000000" }), /amount.*below 9000000/),
  "a sunset on a day that doesn't exist": same(
    "LLMProvider",
    provider({ models: [{ name: "a", sunset: "2027-02-30" }] }),
    /sunset.*must be a day that exists/,
  ),
  "a timeout without a unit": same(
    "LLMProvider",
    provider({ timeouts: { total: "600" } }),
    /spec\.timeouts\.total.*needs a unit, such as 30s, 10m or 1h/,
  ),
  "a timeout of zero": same(
    "LLMProvider",
    provider({ timeouts: { total: "0s" } }),
    /spec\.timeouts\.total.*must be a duration above zero/,
  ),
  "health checks more often than once a second": same(
    "LLMProvider",
    provider({ healthCheck: { path: "/models", interval: "500ms" } }),
    /spec\.healthCheck\.interval.*must be a duration of at least 1s/,
  ),
  "a health check of another host": same(
    "LLMProvider",
    provider({ healthCheck: { path: "https://elsewhere.example.com/models" } }),
    /spec\.healthCheck\.path.*must be a path that begins with \//,
  ),
  "a timeout beyond what a timer waits": same(
    "LLMProvider",
    provider({ timeouts: { total: "30d" } }),
    /spec\.timeouts\.total.*below 100h/,
  ),
  "too many attempts": apart(
    "LLMProvider",
    provider({ retry: { attempts: 11 } }),
    /should be less than or equal to 10/,
    /must be at most 10/,
  ),
  "half an attempt": apart(
    "LLMProvider",
    provider({ retry: { attempts: 1.5 } }),
    /must be of type integer/,
    /must be a whole number/,
  ),
  "a jitter above one": same(
    "LLMProvider",
    provider({ retry: { jitter: "1.1" } }),
    /spec\.retry\.jitter.*must be a share/,
  ),
  "too many options": apart(
    "LLMProvider",
    provider({ options: Object.fromEntries(many(65).map((name) => [name, "x"])) }),
    /must have at most 64 items|must not have more than 64/,
    /at most 64 entries/,
  ),
  "an option that is no text": apart(
    "LLMProvider",
    provider({ options: { a: 1 } }),
    /spec\.options\.a.*must be of type string/,
    /must be a string/,
  ),
  "a policy without targets": apart(
    "RoutingPolicy",
    policy({ routing: { targets: [] } }),
    /should have at least 1 items/,
    /spec\.routing\.targets must not be empty/,
  ),
  "a policy without routing": apart(
    "RoutingPolicy",
    { match: { models: ["a"] } },
    /spec\.routing: Required value/,
    /spec\.routing is required/,
  ),
  "a model served twice": apart(
    "RoutingPolicy",
    policy({ match: { models: ["a", "a"] } }),
    /spec\.match\.models\[1\]: Duplicate value/,
    /is in the list twice/,
  ),
  "a path that ends in a slash": same(
    "RoutingPolicy",
    policy({ match: { pathPrefix: "/chat/" } }),
    /pathPrefix.*doesn't end in \//,
  ),
  "a reason to fall back that doesn't exist": apart(
    "RoutingPolicy",
    routing({ fallbackOn: ["RateLimit"] }),
    /fallbackOn\[0\]: Unsupported value/,
    /did you mean RateLimited\?/,
  ),
  "a header twice in a condition": apart(
    "RoutingPolicy",
    routing({
      rules: [{ when: { headers: ["a", "b"].map((value) => ({ name: "x-tier", value })) }, use: ["openai"] }],
    }),
    /headers\[1\]: Duplicate value/,
    /is in the list twice/,
  ),
  "a prompt that is too long": apart(
    "RoutingPolicy",
    policy({ request: { prompts: [{ content: "x".repeat(32_769) }] } }),
    /prompts\[0\]\.content: Too long/,
    /at most 32768 characters/,
  ),
  ...Object.fromEntries(
    ["0.95x", "1.01", "0.4", "95", "-0.9", ".9", "0.9999999", ""].map((threshold) => [
      `a threshold of similarity of ${JSON.stringify(threshold)}`,
      apart(
        "RoutingPolicy",
        semantic({ threshold }),
        /spec\.cache\.semantic\.threshold/,
        /must be a number in quotes from 0\.5 to 1|must not be empty/,
      ),
    ]),
  ),
  ...Object.fromEntries(
    ["10s", "0ms", "1m", "500", "1.5s"].map((timeout) => [
      `a look-up by meaning that takes ${timeout}`,
      apart(
        "RoutingPolicy",
        semantic({ timeout }),
        /spec\.cache\.semantic\.timeout/,
        /must be a duration from 1ms to 9999ms|needs a unit, such as 300ms or 2s|takes whole numbers only/,
      ),
    ]),
  ),
  "a threshold of similarity as a number": apart(
    "RoutingPolicy",
    semantic({ threshold: 0.95 }),
    /threshold.*must be of type string/,
    /put it in quotes/,
  ),
  "a cache by meaning without a threshold": apart(
    "RoutingPolicy",
    policy({ cache: { semantic: { embeddings } } }),
    /spec\.cache\.semantic\.threshold: Required value/,
    /spec\.cache\.semantic\.threshold is required/,
  ),
  "a cache by meaning without embeddings": apart(
    "RoutingPolicy",
    policy({ cache: { semantic: { threshold: "0.95" } } }),
    /spec\.cache\.semantic\.embeddings: Required value/,
    /spec\.cache\.semantic\.embeddings is required/,
  ),
  "embeddings without a model": apart(
    "RoutingPolicy",
    semantic({ embeddings: { provider: { name: "openai" } } }),
    /embeddings\.model: Required value/,
    /embeddings\.model is required/,
  ),
  "embeddings of a provider that can't be named": same(
    "RoutingPolicy",
    semantic({ embeddings: { provider: { name: "Open AI" }, model: "m" } }),
    /embeddings\.provider\.name.*must be in lower case/,
  ),
  "more vectors than can be compared": apart(
    "RoutingPolicy",
    semantic({ maxEntries: 5_001 }),
    /maxEntries.*less than or equal to 5000/,
    /maxEntries/,
  ),
  "no vectors at all": apart(
    "RoutingPolicy",
    semantic({ maxEntries: 0 }),
    /maxEntries.*greater than or equal to 1/,
    /maxEntries/,
  ),
  "a mode of comparing that doesn't exist": apart(
    "RoutingPolicy",
    semantic({ mode: "shadow" }),
    /semantic\.mode: Unsupported value/,
    /must be one of Serve, Shadow|did you mean Shadow/,
  ),
  "a budget as a number": apart(
    "Budget",
    budget({ amount: 10 }),
    /spec\.amount.*must be of type string/,
    /put it in quotes/,
  ),
  "a period that doesn't exist": apart(
    "Budget",
    budget({ period: "Yearly" }),
    /spec\.period: Unsupported value/,
    /must be one of Hourly, Daily/,
  ),
  "a throttle that passes everything": apart(
    "Budget",
    budget({ throttle: { atPercent: 90, passPercent: 100 } }),
    /passPercent.*should be less than or equal to 99/,
    /spec\.throttle\.passPercent/,
  ),
  "a time zone that can't be one": same(
    "Budget",
    budget({ timeZone: "Asia/Tokyo; drop" }),
    /spec\.timeZone.*IANA time zone/,
  ),
  "a spike below the usual": same(
    "Budget",
    budget({ spike: { factor: "0.5" } }),
    /spec\.spike\.factor.*must be a number in quotes from 1\.1 to 999/,
  ),
  "an address that is none": same(
    "Budget",
    budget({ alerts: [{ email: { to: ["finance"] } }] }),
    /must be an e-mail address/,
  ),
  "an error rate from above": same(
    "LLMProvider",
    provider({ alertWhen: { errorRate: "<5%" } }),
    /errorRate.*must begin with >, in quotes/,
  ),
  "a latency in hours": same(
    "RoutingPolicy",
    policy({ alertWhen: { latencyP95: ">1h" } }),
    /latencyP95.*must be a bound from below/,
  ),
  "a window of two hours": same(
    "LLMProvider",
    provider({ alertWhen: { window: "2h" } }),
    /window.*must be whole minutes from 1m to 60m, or 1h/,
  ),
  "an event that a policy has not": apart(
    "RoutingPolicy",
    policy({ alertWhen: { failover: ">0%" }, alerts: [{ email: mailed, events: ["BreakerOpen"] }] }),
    /events\[0\]: Unsupported value/,
    /must be one of Failover, ErrorRate, Latency, FirstToken/,
  ),
  "a signing key without a Secret": apart(
    "Budget",
    budget({
      alerts: [{ webhook: { secretRef: { name: "alerts", key: "url" }, signingKeyRef: { key: "signingKey" } } }],
    }),
    /signingKeyRef\.name: Required value/,
    /signingKeyRef\.name is required/,
  ),
  "a threshold above the amount": apart(
    "Budget",
    budget({ thresholds: [120] }),
    /should be less than or equal to 100/,
    /spec\.thresholds/,
  ),
  "a scope without an entry": apart(
    "Budget",
    budget({ scope: { teams: [] } }),
    /should have at least 1 items/,
    /spec\.scope\.teams must not be empty/,
  ),
  "a selector by a label that nothing can have": apart(
    "Budget",
    budget({ scope: { selector: { matchLabels: { "my team": "gold" } } } }),
    /spec\.scope\.selector\.matchLabels: .*each key must be the name of a label/,
    /matchLabels\.my team is a key that is not allowed: it must be the name of a label/,
  ),
  "a grant by a label's value that none can have": same(
    "LLMProvider",
    provider({ allowedNamespaces: { from: "Selector", selector: { matchLabels: { tier: "gold star" } } } }),
    /matchLabels.*tier.*must be the value of a label/,
  ),
  "a selector's condition on a label that nothing can have": same(
    "Budget",
    budget({ scope: { selector: { matchExpressions: [{ key: "-tier", operator: "Exists" }] } } }),
    /matchExpressions\[0\]\.key.*must be the name of a label/,
  ),
  "a key without a user": apart(
    "ApiKey",
    { writeTo: { name: "a" } },
    /spec\.user: Required value/,
    /spec\.user is required/,
  ),
  "a Secret's name in upper case": same(
    "ApiKey",
    apiKey({ writeTo: { name: "Alice" } }),
    /writeTo\.name.*must be in lower case/,
  ),
  "a moment without a zone": apart(
    "ApiKey",
    apiKey({ expiresAt: "2027-02-28T12:00:00" }),
    /spec\.expiresAt/,
    /needs a zone at its end: Z for UTC/,
  ),
  "a moment on a day that doesn't exist": same(
    "ApiKey",
    apiKey({ expiresAt: "2027-02-30T12:00:00Z" }),
    /expiresAt.*must be an existing time/,
  ),
  "a tag twice": apart(
    "ApiKey",
    apiKey({ tags: ["a", "a"] }),
    /spec\.tags\[1\]: Duplicate value/,
    /is in the list twice/,
  ),
  "a flag as text": apart(
    "ApiKey",
    apiKey({ revoked: "true" }),
    /spec\.revoked.*must be of type boolean/,
    /must be true or false/,
  ),
  "nothing at all": apart("ApiKey", undefined as unknown as Spec, /spec: Required value/, /spec is required/),
};

export const unknownFields: Record<string, Refusal> = {
  "a field that is misspelt": apart(
    "LLMProvider",
    provider({ endpont: "https://a.example" }),
    /unknown field "spec\.endpont"/,
    /unknown field spec\.endpont; did you mean endpoint\?/,
  ),
  "a field within a list": apart(
    "LLMProvider",
    provider({ models: [{ name: "a", maxTokens: 5 }] }),
    /unknown field "spec\.models\[0\]\.maxTokens"/,
    /unknown field spec\.models\[0\]\.maxTokens/,
  ),
  "a field of a later version": apart(
    "RoutingPolicy",
    policy({ hedging: { after: "1s" } }),
    /unknown field "spec\.hedging"/,
    /unknown field spec\.hedging/,
  ),
  "a field within a target": apart(
    "RoutingPolicy",
    policy({ routing: { targets: [{ ...target, wieght: 1 }] } }),
    /targets\[0\]\.wieght"/,
    /did you mean weight\?/,
  ),
  "a field of a budget": apart(
    "Budget",
    budget({ currency: "USD" }),
    /unknown field "spec\.currency"/,
    /unknown field spec\.currency/,
  ),
  "a field of a key": apart(
    "ApiKey",
    apiKey({ teem: "a" }),
    /unknown field "spec\.teem"/,
    /unknown field spec\.teem; did you mean team\?/,
  ),
};

/** The shortest of each kind, and the shapes of the API's sketch so far as there is behaviour behind them. */
export const accepted: Record<string, { kind: Kind; spec: Spec }> = {
  "the shortest provider": { kind: "LLMProvider", spec: provider({}) },
  "a provider with everything": {
    kind: "LLMProvider",
    spec: {
      type: "OpenAI",
      endpoint: "https://api.openai.com/v1",
      credentials: { secretRef: { name: "openai", key: "apiKey" } },
      region: "us-east",
      models: [
        {
          name: "gpt-4o",
          upstream: "gpt-4o-2024-08-06",
          sunset: "2026-12-01",
          price: { inputPerMillion: "2.50", cachedInputPerMillion: "1.25", outputPerMillion: "10.00" },
          maxOutputTokens: 16_384,
          contextTokens: 128_000,
          quota: { requestsPerMinute: 50, tokensPerMinute: 100_000 },
        },
        { name: "meta-llama/Llama-3.1:8b@q4" },
      ],
      timeouts: { connect: "10s", firstToken: "30s", idle: "60s", total: "10m" },
      retry: { attempts: 3, initialDelay: "1s", maxDelay: "10s", multiplier: 2, jitter: "0.1" },
      circuitBreaker: { failureThreshold: 5, successThreshold: 2, openFor: "60s", halfOpenRequests: 3 },
      quota: { requestsPerMinute: 100, tokensPerMinute: 200_000 },
      healthCheck: {
        path: "/models",
        interval: "30s",
        timeout: "5s",
        expectedStatus: 200,
        failureThreshold: 3,
        successThreshold: 1,
      },
      options: { organization: "org-1" },
      alertWhen: {
        breakerOpen: false,
        unhealthy: true,
        errorRate: ">2.5%",
        latencyP95: ">30s",
        firstTokenP95: ">1500ms",
        window: "1h",
        minimumRequests: 100,
      },
      alerts: [
        {
          pagerDuty: { secretRef: { name: "alerts", key: "pagerduty" } },
          events: ["Unhealthy", "ErrorRate"],
          message: "{{object}}: {{detail}}",
        },
      ],
      allowedNamespaces: { from: "Selector", selector: { matchLabels: { "kubernetes.io/metadata.name": "team-a" } } },
    },
  },
  "an endpoint by address and port": {
    kind: "LLMProvider",
    spec: provider({ endpoint: "http://10.0.0.7:8000/v1", allowPrivateEndpoint: true }),
  },
  "an endpoint by IPv6 address": {
    kind: "LLMProvider",
    spec: provider({ endpoint: "http://[fd00::7]:8000", allowPrivateEndpoint: true }),
  },
  "durations as Go prints them": {
    kind: "LLMProvider",
    spec: provider({ timeouts: { total: "1h0m0s", connect: "500ms" } }),
  },
  "the shortest policy": { kind: "RoutingPolicy", spec: policy({}) },
  "a policy with everything": {
    kind: "RoutingPolicy",
    spec: {
      match: { models: ["gpt-4", "gpt-4o"], pathPrefix: "/team-a/chat" },
      access: {
        roles: ["developer", "data-scientist"],
        teams: ["Data Science"],
        tags: ["internal"],
        networks: ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::1", "::ffff:10.0.0.0/104"],
        countries: { allow: ["DE", "FR"] },
        hours: { from: "22:00", to: "06:00", timeZone: "Europe/Berlin", days: ["Mon", "Fri"] },
        consent: { header: "x-consent", value: "yes" },
        residency: { regions: ["eu-central-1"] },
      },
      allowedNamespaces: { from: "All" },
      request: {
        defaults: { temperature: 0.7, max_tokens: 1024, response_format: { type: "json_object" }, stop: ["\n"] },
        overrides: { user: "fixed" },
        prompts: [
          { role: "system", position: "Prepend", content: "You are an excellent assistant of {{user}}. 日本語" },
        ],
      },
      session: { header: "x-run" },
      routing: {
        strategy: "Priority",
        targets: [
          { provider: { name: "openai", namespace: "platform" }, model: "gpt-4o", priority: 1 },
          {
            name: "on-premises",
            provider: { name: "granite", namespace: "platform" },
            model: "granite-13b-chat-v2",
            priority: 3,
            weight: 0,
          },
        ],
        fallbackOn: ["RateLimited", "Unavailable", "Timeout"],
        slowAfter: "3s",
        leastLatency: { window: "1m", samples: 50, minimumSamples: 3 },
        affinity: { by: "Header", header: "x-session" },
        rules: [
          {
            when: { tags: ["batch-processing"], headers: [{ name: "x-tier", value: "gold" }] },
            use: ["on-premises", "openai"],
          },
          { when: { batchSize: { greaterThan: 100 }, promptTokens: { greaterThan: 0 } }, use: ["on-premises"] },
        ],
        canary: {
          target: "on-premises",
          percent: 5,
          for: "168h",
          minimumRequests: 1000,
          succeedWhen: { errorRate: "<1%", latencyP95: "<3s", costIncrease: "<10%" },
          rollBackWhen: { errorRate: ">5.5%", latencyP95: ">1500ms", costIncrease: ">1000%" },
        },
      },
      guard: { deny: ["(?i)secret"], allow: ["."], maxPromptBytes: 1000, exemptRoles: ["admin"] },
      resources: { provider: { name: "openai", namespace: "platform" }, kinds: ["Files"] },
      cache: {
        ttl: "10m",
        maxEntries: 5,
        scope: "User",
        key: ["Model", "Prompt", "Seed"],
        when: { temperatureAtMost: "0.5", maxTokensBelow: 100 },
        semantic: {
          embeddings: { provider: { name: "openai", namespace: "platform" }, model: "text-embedding-3-small" },
          threshold: "0.955",
          mode: "Shadow",
          timeout: "300ms",
          maxEntries: 5_000,
        },
      },
      limits: [
        { per: "ApiKey", requests: 100, window: "1m", onStateLoss: "Deny" },
        { per: "Team", tokens: 1_000_000, window: "1d" },
        { per: "Model", concurrency: 8 },
      ],
      logging: { statistics: false, payloads: true },
      alertWhen: {
        failover: ">0%",
        errorRate: ">1%",
        latencyP95: ">2m",
        firstTokenP95: ">2s",
        window: "15m",
        minimumRequests: 50,
      },
      alerts: [
        { email: { to: ["oncall@example.com"] }, events: ["Failover"] },
        { webhook: { secretRef: { name: "alerts", key: "url" } } },
      ],
    },
  },
  "the shortest cache by meaning": { kind: "RoutingPolicy", spec: semantic({ threshold: "1" }) },
  "an anonymous policy on a path": {
    kind: "RoutingPolicy",
    spec: policy({ match: { pathPrefix: "/chat" }, access: { anonymous: true } }),
  },
  "a policy that never falls back": { kind: "RoutingPolicy", spec: routing({ fallbackOn: [] }) },
  "the shortest budget": { kind: "Budget", spec: budget({}) },
  "a budget with everything": {
    kind: "Budget",
    spec: {
      amount: "8999999.999999999",
      period: "Monthly",
      timeZone: "America/Argentina/Buenos_Aires",
      scope: {
        users: ["alice@example.com"],
        teams: ["Data Science"],
        roles: ["developer"],
        tags: ["internal"],
        models: ["gpt-4o"],
        providers: ["openai"],
        apiKeys: ["alice"],
        selector: {
          matchLabels: { tier: "gold", "a.example.com/Cost_Center.2": "" },
          matchExpressions: [{ key: "example.com/stage", operator: "NotIn", values: ["test", "T-1_b.c"] }],
        },
      },
      per: "User",
      enforcement: "Soft",
      throttle: { atPercent: 90, passPercent: 50 },
      thresholds: [50, 80, 100],
      spike: { factor: "2.5", minimum: "10" },
      alerts: [
        { slack: { secretRef: { name: "alerts", key: "slack" } }, events: ["Threshold"] },
        { email: { to: ["finance@example.com"] }, message: "{{budget}} is at {{percent}} %" },
        { pagerDuty: { secretRef: { name: "alerts", key: "pagerduty" } } },
        {
          webhook: { secretRef: { name: "alerts", key: "url" }, signingKeyRef: { name: "alerts", key: "signingKey" } },
        },
      ],
      limits: [{ requests: 100, window: "1h" }, { concurrency: 5 }],
      expiresAt: "2027-02-28T12:00:00Z",
      onStateLoss: "Allow",
    },
  },
  "the shortest key": { kind: "ApiKey", spec: apiKey({}) },
  "a key with everything": {
    kind: "ApiKey",
    spec: {
      user: "alice@example.com",
      team: "a",
      role: "data-scientist",
      tags: ["internal", "batch"],
      models: ["gpt-4o"],
      limits: [{ requests: 10, window: "1s" }],
      writeTo: { name: "alice-llm-key", key: "token" },
      clientTokens: { origins: ["https://chat.example.com", "http://localhost:5173"], maxLifetime: "1h" },
      expiresAfter: "90d12h",
      revoked: true,
    },
  },
  "a key of another gateway": {
    kind: "ApiKey",
    spec: { user: "alice@example.com", digests: [{ algorithm: "sha256", value: "0123456789abcdef".repeat(4) }] },
  },
  "a key that expires at a moment elsewhere": {
    kind: "ApiKey",
    spec: apiKey({ expiresAt: "2027-02-28T12:00:00.5+09:00" }),
  },
};
