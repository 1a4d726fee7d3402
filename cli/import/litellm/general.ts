/** Settings of the whole proxy: keys, alerts, and the report's notes on the rest. */
import { minKeyCharacters } from "../../../proxy/config/key-record.ts";
import type { Manifests, Spec } from "../manifests.ts";
import type { Outcome } from "../report.ts";
import { markSecret } from "../secret-value.ts";
import type { Config } from "./config.ts";

/** The master key becomes an administrator's key, if it is strong enough. */
function addMasterKey(config: Config, manifests: Manifests): void {
  const setting = config.find(["general_settings", "master_key"]);
  const value = setting === undefined ? null : config.secret(setting);
  if (setting === undefined || value === null) return;
  if ("clear" in value && value.clear.length < minKeyCharacters) {
    manifests.add("ApiKey", "litellm-master", {
      user: "litellm-master",
      role: "admin",
      writeTo: { name: "litellm-master-key" },
    });
    setting.changed(
      `ApiKey litellm-master gets a new key: this one is shorter than ${minKeyCharacters} characters, and would be refused`,
    );
    return;
  }
  const secret = manifests.secret("litellm-master-key");
  secret.values.set("apiKey", value);
  manifests.add("ApiKey", "litellm-master", { user: "litellm-master", role: "admin", writeTo: { name: secret.name } });
  markSecret(setting, value, secret.name, "apiKey");
}

/** Channels of the Budgets. */
export function alertsOf(config: Config, manifests: Manifests): Spec {
  const alerting = config.find(["general_settings", "alerting"], ["router_settings", "alerting_config"]);
  if (alerting === undefined) return {};
  if (!alerting.texts.includes("slack")) {
    alerting.notImported("Budgets and LLMProviders have alerts of their own: slack, email, pagerDuty and webhook");
    return {};
  }
  const secret = manifests.secret("litellm-alerts");
  secret.values.set("slackWebhook", { env: "SLACK_WEBHOOK_URL" });
  alerting.changed(
    `Budgets notify the webhook in Secret ${secret.name}, key slackWebhook, from the variable SLACK_WEBHOOK_URL; alertWhen of LLMProviders reports slow and failing calls`,
  );
  return { alerts: [{ slack: { secretRef: { name: secret.name, key: "slackWebhook" } } }] };
}

type Note = readonly [Outcome, string];

const noDatabase: Note = ["NotImported", "Sluice keeps no database: keys and budgets are objects"];
const store: Note = ["Changed", "set Helm's state.url: limits and budgets of all proxies are in Redis or Valkey"];
const ownLogs: Note = ["NotImported", "logs are JSON, at a level that Helm sets"];
const keysAreObjects: Note = ["NotImported", "keys are ApiKeys, which Kubernetes' RBAC guards"];
const login: Note = ["NotImported", "callers' JWTs: Helm's operator.identity.issuers"];
const providerHealth: Note = ["NotImported", "set healthCheck of the LLMProviders"];
const providerAlerts: Note = ["NotImported", "set alertWhen and alerts of Budgets and LLMProviders"];
const onlyModels: Note = ["NotImported", "only calls of models are served"];
const telemetry: Note = [
  "Changed",
  "Prometheus' metrics are at /metrics, traces go to Helm's OTLP collector, and calls to the log; other receivers have no counterpart",
];

/** The report's notes on settings that no object has. */
const notes: Readonly<
  Record<"litellm_settings" | "router_settings" | "general_settings", Readonly<Record<string, Note>>>
> = {
  general_settings: {
    alert_to_webhook_url: providerAlerts,
    alerting_threshold: providerAlerts,
    allow_requests_on_db_unavailable: noDatabase,
    background_health_checks: providerHealth,
    custom_auth: login,
    database_connection_pool_limit: noDatabase,
    database_connection_timeout: noDatabase,
    database_url: noDatabase,
    disable_spend_logs: noDatabase,
    enable_jwt_auth: login,
    enable_oauth2_auth: login,
    health_check_interval: providerHealth,
    litellm_jwtauth: login,
    max_parallel_requests: ["NotImported", "set limits with concurrency of the policies"],
    pass_through_endpoints: onlyModels,
    proxy_batch_write_at: noDatabase,
    store_model_in_db: noDatabase,
    store_prompts_in_spend_logs: noDatabase,
  },
  litellm_settings: {
    callbacks: telemetry,
    default_internal_user_params: keysAreObjects,
    default_key_generate_params: keysAreObjects,
    default_team_params: keysAreObjects,
    default_team_settings: keysAreObjects,
    failure_callback: telemetry,
    json_logs: ownLogs,
    key_generation_settings: keysAreObjects,
    redact_user_api_key_info: ["NotImported", "Sluice never logs keys"],
    service_callbacks: telemetry,
    set_verbose: ownLogs,
    success_callback: telemetry,
    suppress_debug_info: ownLogs,
    telemetry: ownLogs,
    turn_off_message_logging: ["Imported", "bodies aren't logged unless logging.payloads is set"],
    upperbound_key_generate_params: keysAreObjects,
  },
  router_settings: {
    allowed_fails_policy: ["NotImported", "the circuit breaker counts all failures of the provider"],
    enable_pre_call_checks: ["Imported", "targets whose contextTokens can't hold the prompt are left out"],
    enable_tag_filtering: ["NotImported", "routing.rules choose by tags of the ApiKey"],
    model_group_retry_policy: ["NotImported", "retries are set for each LLMProvider"],
    redis_db: store,
    redis_host: store,
    redis_password: store,
    redis_port: store,
    redis_url: store,
    retry_policy: ["NotImported", "retry.attempts applies to all temporary failures"],
    routing_strategy_args: ["Changed", "routing.leastLatency has the defaults of Sluice"],
  },
};

function addNotes(config: Config): void {
  for (const section of ["general_settings", "litellm_settings", "router_settings"] as const)
    for (const [name, [outcome, note]] of Object.entries(notes[section]))
      config.find([section, name])?.mark(outcome, note);
  for (const section of config.sections("include"))
    section.changed("name the included files on the command line as well");
  for (const name of ["mcp_servers", "vector_store_registry"] as const)
    for (const section of config.sections(name)) section.mark(...onlyModels);
}

export function addGeneral(config: Config, manifests: Manifests): void {
  addMasterKey(config, manifests);
  addNotes(config);
}
