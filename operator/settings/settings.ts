/** Settings of the operator, from one file (a mounted ConfigMap) and flags, parsed once. */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { z } from "zod";
import { settingError } from "../../proxy/usage-error.ts";
import { consoleMisfit, consoleSettings } from "./console.ts";
import { installation, misfit } from "./installation.ts";

const link = z
  .string()
  .max(512)
  .regex(/^(https?:\/\/[^ \t\r\n<>|]+)?$/, "must be a URL that begins with http:// or https://")
  .default("");

export const operatorSettings = z.strictObject({
  /** Namespace of the operator, the proxies and the published objects. */
  namespace: z.string().min(1),
  /** Prefix of the published objects' names. */
  publishPrefix: z.string().min(1).default("sluice"),
  /** Headless Service whose endpoints are the proxies' status ports. */
  proxyStatusService: z.string().default("sluice-proxy-status"),
  /** Status URLs of proxies outside the cluster, used instead of the Service's endpoints. */
  proxyStatusUrls: z.array(z.url()).default([]),
  /** Labels of the proxies' Pods, which are nudged after a publish. */
  proxySelector: z.string().default("app.kubernetes.io/component=proxy"),
  /** Namespaces whose objects count; empty for all. */
  watchNamespaces: z.array(z.string()).default([]),
  /** Objects count whose label sluice.dev/class has this value; "" for those without the label. */
  className: z
    .string()
    .regex(/^([A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/, "must be the value of a label")
    .default(""),
  /** Namespaces whose policies may be offered to other namespaces' keys. */
  sharingNamespaces: z.array(z.string()).default([]),
  /** Written next to each key that the operator makes. */
  baseURL: z.string().default(""),
  ...installation.shape,
  /**
   * Empty by default, unlike in `sluice dev`: only the platform team may allow a policy that serves anyone who can
   * reach the gateway.
   */
  anonymousNamespaces: z.array(z.string()).default([]),
  /** In a cluster, both are closed by default; `sluice dev` runs on one person's machine. */
  privateEndpointNamespaces: installation.shape.privateEndpointNamespaces.removeDefault().default([]),
  cloudIdentities: installation.shape.cloudIdentities.removeDefault().default([]),
  secretAccess: installation.shape.secretAccess.removeDefault().default("Labelled"),
  /** How alerts are sent. */
  alerts: z
    .strictObject({
      /** null: there is no mail server. The login is in the environment: SLUICE_SMTP_USER and SLUICE_SMTP_PASSWORD. */
      smtp: z
        .strictObject({
          host: z.string().min(1).max(253),
          port: z.int().min(1).max(65_535).default(587),
          security: z.enum(["TLS", "StartTLS", "None"]).default("StartTLS"),
          from: z.string().min(3).max(320),
        })
        .nullable()
        .default(null),
      /** URL for PagerDuty events; the EU region has its own. */
      pagerDutyURL: z.url().default("https://events.pagerduty.com/v2/enqueue"),
      /** Link for receivers; `{{kind}}`, `{{namespace}}` and `{{name}}` are replaced by the object's. "" for none. */
      links: z.strictObject({ console: link, dashboard: link }).prefault({}),
    })
    .prefault({}),
  /** Interval between full comparisons with the cluster, in milliseconds. */
  resyncMs: z.int().min(500).default(15_000),
  /** Address of the status port; "::" is all IPv4 and IPv6 addresses. */
  statusHost: z.string().min(1).default("::"),
  statusPort: z.int().min(0).max(65_535).default(8081),
  /** The web console, served in plain HTTP at the status host; null for none. */
  console: consoleSettings,
  logLevel: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
  /** Lease times in milliseconds. */
  lease: z
    .strictObject({
      durationMs: z.int().default(15_000),
      renewDeadlineMs: z.int().default(10_000),
      retryMs: z.int().default(2_000),
    })
    .prefault({}),
});
export type OperatorSettings = z.output<typeof operatorSettings>;

export const operatorUsage = `sluice operator: watch objects, compile, publish, report status

  --settings FILE     settings as YAML (default /etc/sluice/operator.yaml)
  --kubeconfig FILE   cluster to talk to (default: the Pod's own, else ~/.kube/config)
  --status-port N     probes and metrics (default 8081; 0 picks one)`;

export interface OperatorArguments {
  settings: OperatorSettings;
  kubeconfig: string | null;
}

function asYaml(file: string, text: string): object {
  let document: unknown;
  try {
    document = parse(text) ?? {};
  } catch (cause) {
    throw new Error(
      `${file} is not valid YAML: ${cause instanceof Error ? cause.message.split("\n", 1)[0] : String(cause)}`,
      {
        cause,
      },
    );
  }
  if (typeof document === "object" && document !== null && !Array.isArray(document)) return document;
  throw new Error(`${file} holds no settings; write lines such as namespace: sluice-system`);
}

function statusPortOf(text: string | undefined): { statusPort?: number } {
  if (text === undefined) return {};
  const parsed = operatorSettings.pick({ statusPort: true }).safeParse({ statusPort: Number(text) });
  if (parsed.success) return parsed.data;
  throw settingError(parsed.error.issues[0], { "status-port": "statusPort" });
}

export async function parseOperatorArguments(args: readonly string[]): Promise<OperatorArguments> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      settings: { type: "string", default: "/etc/sluice/operator.yaml" },
      kubeconfig: { type: "string" },
      "status-port": { type: "string" },
    },
  });
  const statusPort = statusPortOf(values["status-port"]);
  const text = await readFile(values.settings, "utf8");
  return { settings: asOperatorSettings(values.settings, text, statusPort), kubeconfig: values.kubeconfig ?? null };
}

/** `over`: overrides the file's values. Throws an Error that names the file and what is wrong. */
export function asOperatorSettings(file: string, text: string, over: Partial<OperatorSettings> = {}): OperatorSettings {
  const parsed = operatorSettings.safeParse({ ...asYaml(file, text), ...over });
  const wrong = parsed.success
    ? (misfit(parsed.data) ?? consoleMisfit(parsed.data.console, parsed.data.identity))
    : null;
  if (wrong !== null) throw new Error(`${file}: ${wrong}`);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${file}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "invalid"}`);
}

/**
 * Settings for a command: the operator's file, or the ConfigMap that holds it, as printed by `helm template` among
 * other manifests. If `namespace`, which commands on folders don't need, is missing, the one in the docs is used.
 */
export function settingsForCommand(file: string, text: string): OperatorSettings {
  const documents = parseAllDocuments(text).map(
    (document) => document.toJS() as { data?: Record<string, unknown> } | null,
  );
  const inside = documents
    .map((document) => document?.data?.["settings.yaml"])
    .find((text) => typeof text === "string");
  const own = inside ?? text;
  const named = (parse(own) as { namespace?: unknown } | null)?.namespace !== undefined;
  return asOperatorSettings(file, own, named ? {} : { namespace: "sluice-system" });
}
