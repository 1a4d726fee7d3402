import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { grafanaJson } from "../../charts/observability/dashboard.ts";
import { dashboards } from "../../charts/observability/index.ts";
import { alertGroups } from "../../charts/observability/rules.ts";
import { configMapNames, credentialsSecretNames, revocationsMapName } from "../../operator/publish/layout.ts";
import { asOperatorSettings, operatorSettings } from "../../operator/settings/settings.ts";
import { parseProxySettings } from "../../proxy/settings.ts";
import { callMetricsOptions } from "../../proxy/signal-settings.ts";
import { chart } from "../harness/cluster.ts";
import { run } from "../harness/command.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";

const skip = await skipWithout("helm");

interface Rendered {
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: documents of many kinds, asserted field by field
  [field: string]: any;
}

const helm = async (...args: string[]) => run(await ensureTool("helm"), args);

async function render(...args: string[]): Promise<Rendered[]> {
  const { code, stdout, stderr } = await helm("template", "sluice", chart, "--namespace", "llm", ...args);
  assert.equal(code, 0, stderr);
  return parseAllDocuments(stdout).flatMap((document) => {
    assert.deepEqual(document.errors, []);
    return (document.toJS() as Rendered | null) ?? [];
  });
}

const find = (documents: readonly Rendered[], kind: string, name: string): Rendered => {
  const found = documents.find((document) => document.kind === kind && document.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
};
interface EnvVar {
  name: string;
  valueFrom: { secretKeyRef?: { name: string; key: string } };
}

/** Variables whose values come from elsewhere, such as a Secret. */
const referring = ({ env }: { env: (Partial<EnvVar> & { name: string })[] }): EnvVar[] =>
  env.filter((variable): variable is EnvVar => variable.valueFrom !== undefined);

const set = (...values: string[]): string[] => values.flatMap((value) => ["--set", value]);

describe("the chart", { skip }, () => {
  it("is clean to helm lint", async () => {
    const { code, stdout } = await helm("lint", "--strict", chart);
    assert.equal(code, 0, stdout);
    assert.doesNotMatch(stdout, /INFO|WARNING|ERROR/);
  });

  it("has the console's icon", async () => {
    const { icon } = parse(await readFile(join(chart, "Chart.yaml"), "utf8")) as { icon: string };
    const file = join(import.meta.dirname, "../../operator/console/page/icon.svg");
    assert.equal(Buffer.from(icon.split(",")[1] ?? "", "base64").toString(), (await readFile(file, "utf8")).trim());
  });

  it("mounts exactly the objects that the operator publishes, whatever the release is called", async () => {
    for (const [args, prefix] of [
      [[], "sluice"],
      [set("fullnameOverride=gate"), "gate"],
      [set("configName=published"), "published"],
    ] as const) {
      const documents = await render(...args);
      const deployment = documents.find(
        (one) => one.kind === "Deployment" && one.metadata.labels?.["app.kubernetes.io/component"] === "proxy",
      );
      const sources = deployment?.["spec"].template.spec.volumes[0].projected.sources as {
        configMap?: { name: string };
        secret?: { name: string };
      }[];
      const maps = [...configMapNames(prefix), revocationsMapName(prefix)].sort();
      assert.deepEqual(sources.flatMap((source) => source.configMap?.name ?? []).sort(), maps);
      assert.deepEqual(
        sources.flatMap((source) => source.secret?.name ?? []),
        credentialsSecretNames(prefix),
      );
      const rules = documents.find((document) => document.kind === "Role")?.["rules"] as { resourceNames?: string[] }[];
      assert.deepEqual(rules[0]?.resourceNames?.toSorted(), maps);
      assert.deepEqual(rules[1]?.resourceNames, credentialsSecretNames(prefix));
      assert.deepEqual(rules[2]?.resourceNames, [`${prefix}-operator`]);
    }
  });

  it("serves the console where it is enabled: settings, port, Service and NetworkPolicy", async () => {
    const documents = await render(
      ...set("console.enabled=true", "console.service.port=8000", "console.allowedNamespaceLabels.name=ingress"),
    );
    const settings = parse(find(documents, "ConfigMap", "sluice-operator")["data"]["settings.yaml"]);
    assert.deepEqual(operatorSettings.parse(settings).console, { port: 8082, url: "", oidc: null });
    const text = (kind: string, name: string): string => JSON.stringify(find(documents, kind, name));
    assert.match(text("Deployment", "sluice-operator"), /\{"name":"console","containerPort":8082\}/);
    assert.match(text("Service", "sluice-console"), /"port":8000,"targetPort":"console"/);
    assert.match(
      text("NetworkPolicy", "sluice-operator"),
      /"port":"console"\}\],"from":\[\{"namespaceSelector":\{"matchLabels":\{"name":"ingress"\}\}\}\]/,
    );
  });

  it("has the console offer a login by OpenID Connect, with the secret in no setting", async () => {
    const issuer =
      '[{"name":"corp","kind":"OIDC","issuer":"https://idp.example.com:8443","audiences":["sluice"],"namespace":"team-a"}]';
    const login = ["console.enabled=true", "console.url=https://sluice.example.com", "console.oidc.issuer=corp"];
    const documents = await render(
      ...set(...login, "console.oidc.clientId=console", "console.oidc.clientSecretRef.name=console-oidc"),
      ...["--set-json", `identity.issuers=${issuer}`],
    );
    const text = find(documents, "ConfigMap", "sluice-operator")["data"]["settings.yaml"];
    const { console: settings } = asOperatorSettings("settings.yaml", text);
    assert.equal(settings?.url, "https://sluice.example.com");
    assert.deepEqual(
      [settings.oidc?.issuer, settings.oidc?.clientId, settings.oidc?.groupsPrefix, settings.oidc?.sessionMinutes],
      ["corp", "console", "oidc:", 60],
    );
    const operator = JSON.stringify(find(documents, "Deployment", "sluice-operator"));
    assert.match(
      operator,
      /"name":"SLUICE_CONSOLE_CLIENT_SECRET","valueFrom":\{"secretKeyRef":\{"name":"console-oidc","key":"clientSecret"\}\}/,
    );
    assert.doesNotMatch(text, /console-oidc/);
    const egress = find(documents, "NetworkPolicy", "sluice-operator")["spec"].egress as {
      ports: { port: number }[];
    }[];
    assert.ok(egress.some(({ ports }) => ports.some(({ port }) => String(port) === "8443")));
  });

  it("writes settings that the operator takes, and names Services and labels that are there", async () => {
    const documents = await render(
      ...set(
        "operator.sharingNamespaces={platform}",
        "proxy.maxBodyBytes=20971520",
        "proxy.requestLimits.tools=500",
        "operator.watchNamespaces={a,b}",
        "className=blue",
        "service.port=8000",
      ),
    );
    const settings = operatorSettings.parse(
      parse(find(documents, "ConfigMap", "sluice-operator")["data"]["settings.yaml"]),
    );
    assert.deepEqual(
      { ...settings },
      {
        namespace: "llm",
        publishPrefix: "sluice",
        proxyStatusService: "sluice-proxy-status",
        proxyStatusUrls: [],
        proxySelector: "app.kubernetes.io/component=proxy,app.kubernetes.io/instance=sluice",
        watchNamespaces: ["a", "b"],
        className: "blue",
        sharingNamespaces: ["platform"],
        anonymousNamespaces: [],
        pathPrefixes: { "*": ["/"] },
        baseURL: "http://sluice.llm.svc:8000/v1",
        maxBodyBytes: 20_971_520,
        bodyLimits: { entries: 100_000, tools: 500, jsonDepth: 128 },
        origins: { trustedProxies: [], forwardedHeader: "X-Forwarded-For", countryHeader: null },
        countryDatabase: false,
        durableAudit: false,
        identity: { issuers: [] },
        privateEndpointNamespaces: [],
        cloudIdentities: [],
        secretAccess: "Labelled",
        cors: { allowedOrigins: [] },
        prices: [],
        pricing: {},
        roles: {},
        reportLabels: [],
        budgetHeaders: false,
        alerts: {
          smtp: null,
          pagerDutyURL: "https://events.pagerduty.com/v2/enqueue",
          links: { console: "", dashboard: "" },
        },
        resyncMs: 15_000,
        statusHost: "::",
        statusPort: 8081,
        console: null,
        logLevel: "info",
        lease: { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 },
      },
    );
    find(documents, "Service", settings.proxyStatusService);
    const labels = find(documents, "Deployment", "sluice-proxy")["spec"].template.metadata.labels;
    for (const selector of settings.proxySelector.split(",")) {
      const [label = "", value] = selector.split("=");
      assert.equal(labels[label], value);
    }
  });

  it("lets the operator read InferencePools and the Pods of tenants only on demand", async () => {
    const rulesOf = (documents: readonly Rendered[]) =>
      documents
        .filter(
          ({ kind, metadata }) =>
            /Role$/.test(kind) && /operator$/.test(metadata.name) && metadata.namespace !== "sluice",
        )
        .flatMap(({ rules }) => (rules ?? []) as { resources?: string[]; verbs: string[] }[])
        .filter(({ resources = [] }) => resources.includes("inferencepools") || resources.includes("pods"))
        .map(({ resources, verbs }) => `${resources}: ${verbs}`);
    assert.deepEqual(
      rulesOf(await render()).filter((rule) => rule.startsWith("inference")),
      [],
    );
    const asked = rulesOf(await render(...set("operator.inferencePools=true")));
    assert.ok(asked.includes("inferencepools: list,watch") && asked.includes("pods: list,watch"), asked.join());
    const narrow = rulesOf(await render(...set("operator.inferencePools=true", "operator.watchNamespaces={a}")));
    assert.ok(narrow.includes("inferencepools: list,watch") && narrow.includes("pods: list,watch"), narrow.join());
  });

  it("gives proxies what a cloud identity needs, and nothing of it by default", async () => {
    const podOf = (documents: readonly Rendered[]) => find(documents, "Deployment", "sluice-proxy")["spec"].template;
    const plain = await render();
    assert.doesNotMatch(JSON.stringify(plain), /169\.254|cloud-metadata|GOOGLE_APPLICATION/);
    const documents = await render(
      ...set("proxy.cloud.metadata=true", "proxy.cloud.podIdentity=true", "proxy.cloud.google.configMap=g"),
      ...set("proxy.cloud.google.audience=//iam/pool", "proxy.podLabels.azure\\.workload\\.identity/use=yes"),
      ...set("proxy.serviceAccount.annotations.eks=arn", "operator.cloudIdentities[0].namespaces[0]=team-a"),
      ...set("operator.cloudIdentities[0].awsRoles[0]=Own"),
    );
    const { metadata, spec } = podOf(documents);
    assert.equal(metadata.labels["azure.workload.identity/use"], "yes");
    assert.deepEqual(find(documents, "ServiceAccount", "sluice-proxy").metadata, {
      ...find(plain, "ServiceAccount", "sluice-proxy").metadata,
      annotations: { eks: "arn" },
    });
    const [proxy] = spec.containers;
    assert.ok(proxy.args.includes("--cloud-metadata=true"));
    assert.equal(parseProxySettings(proxy.args.slice(1), {}).cloudMetadata, true);
    assert.deepEqual(
      proxy.env.filter((one: { name: string }) => one.name === "GOOGLE_APPLICATION_CREDENTIALS"),
      [{ name: "GOOGLE_APPLICATION_CREDENTIALS", value: "/etc/sluice/google/credentials.json" }],
    );
    const volume = spec.volumes.find((one: { name: string }) => one.name === "google-token");
    assert.equal(volume.projected.sources[0].serviceAccountToken.audience, "//iam/pool");
    const egress = JSON.stringify(find(documents, "NetworkPolicy", "sluice-proxy")["spec"].egress);
    assert.match(egress, /169\.254\.170\.23\/32/);
    assert.match(egress, /169\.254\.169\.254\/32/);
    const settings = operatorSettings.parse(
      parse(find(documents, "ConfigMap", "sluice-operator")["data"]["settings.yaml"]),
    );
    assert.deepEqual(settings.cloudIdentities, [
      { namespaces: ["team-a"], awsRoles: ["Own"], azureClients: [], googleServiceAccounts: [] },
    ]);
  });

  it("refuses an external account without the audience of its token", async () => {
    const { code, stderr } = await helm("template", "sluice", chart, ...set("proxy.cloud.google.configMap=g"));
    assert.notEqual(code, 0);
    assert.match(stderr, /needs proxy\.cloud\.google\.audience/);
  });

  it("has proxies speak TLS with the Secret's certificate, and tells callers so", async () => {
    const documents = await render(
      ...set("proxy.tls.secretName=gate-tls", "proxy.tls.clientCA.secretName=clients", "service.port=443"),
    );
    const { containers, volumes } = find(documents, "Deployment", "sluice-proxy")["spec"].template.spec;
    const [container] = containers;
    const settings = parseProxySettings(container.args.slice(1), {});
    assert.deepEqual(
      [settings.tlsCert, settings.tlsKey, settings.tlsClientCa, settings.tlsClientAuth],
      ["/etc/sluice/tls/tls.crt", "/etc/sluice/tls/tls.key", "/etc/sluice/client-ca/ca.crt", "Required"],
    );
    const secrets = volumes
      .filter((one: { secret?: object }) => one.secret)
      .map((one: { secret: { secretName: string } }) => one.secret.secretName);
    assert.deepEqual(secrets, ["gate-tls", "clients"]);
    for (const path of ["/etc/sluice/tls", "/etc/sluice/client-ca"])
      assert.ok(
        container.volumeMounts.some(
          (one: { mountPath: string; readOnly: boolean }) => one.mountPath === path && one.readOnly,
        ),
      );
    assert.equal(container.livenessProbe.httpGet.port, "status", "probes don't meet the certificate");
    const operator = operatorSettings.parse(
      parse(find(documents, "ConfigMap", "sluice-operator")["data"]["settings.yaml"]),
    );
    assert.equal(operator.baseURL, "https://sluice.llm.svc/v1");
  });

  it("gives proxies the audit log's places and its key, which is in no argument", async () => {
    const documents = await render(
      ...set(
        "audit.stdout=true",
        "audit.redis=true",
        "audit.otlp.url=https://collector:4318/v1/logs",
        "audit.otlp.headersSecretRef.name=otlp",
      ),
      ...set("audit.otlp.tls.caSecretRef.name=collector-ca"),
      ...set(
        "audit.file.volume.persistentVolumeClaim.claimName=audit",
        "audit.retentionDays=30",
        "audit.keySecretRef.name=chain",
        "state.url=redis://valkey:6379",
      ),
    );
    const { containers, volumes } = find(documents, "Deployment", "sluice-proxy")["spec"].template.spec;
    const [container] = containers;
    const settings = parseProxySettings(container.args.slice(1), { SLUICE_AUDIT_KEY: "k" });
    assert.deepEqual(
      [
        settings.auditDir,
        settings.auditMaxBytes,
        settings.auditRetentionDays,
        settings.auditRedis,
        settings.auditStdout,
        settings.auditOtlpUrl,
        settings.auditOtlpCa,
        settings.auditKey,
      ],
      [
        "/var/lib/sluice/audit",
        67_108_864,
        30,
        true,
        true,
        "https://collector:4318/v1/logs",
        "/etc/sluice/audit-otlp-ca/ca.crt",
        "k",
      ],
    );
    assert.ok(
      container.volumeMounts.some((one: { mountPath: string }) => one.mountPath === "/etc/sluice/audit-otlp-ca"),
    );
    assert.deepEqual(
      volumes.find((one: { name: string }) => one.name === "audit-otlp-ca"),
      { name: "audit-otlp-ca", secret: { secretName: "collector-ca", defaultMode: 440 } },
    );
    assert.ok(
      volumes.some(
        (one: { persistentVolumeClaim?: { claimName: string } }) => one.persistentVolumeClaim?.claimName === "audit",
      ),
    );
    assert.ok(container.volumeMounts.some((one: { mountPath: string }) => one.mountPath === settings.auditDir));
    assert.deepEqual(
      referring(container).map(({ name, valueFrom }) => [name, valueFrom.secretKeyRef?.name]),
      [
        ["SLUICE_AUDIT_KEY", "chain"],
        ["SLUICE_AUDIT_OTLP_HEADERS", "otlp"],
      ],
    );
  });

  it("gives proxies what metrics show, and lets scrapes keep the labels of objects", async () => {
    const documents = await render(
      ...set("metrics.labels={user,team}", "metrics.maxCallers=20", "metrics.sessionHeader=x-chat"),
      ...set("metrics.buckets.duration={0.5,2}", "metrics.buckets.tokens={100}", "metrics.buckets.cost={0.0001,0.01}"),
      ...set("serviceMonitor.enabled=true"),
      "--api-versions=monitoring.coreos.com/v1",
    );
    const [container] = find(documents, "Deployment", "sluice-proxy")["spec"].template.spec.containers;
    const settings = parseProxySettings(container.args.slice(1), {});
    assert.deepEqual(callMetricsOptions(settings), {
      labels: ["user", "team"],
      maxCallers: 20,
      buckets: { duration: [0.5, 2], tokens: [100], cost: [0.0001, 0.01] },
    });
    assert.equal(settings.sessionHeader, "x-chat");
    assert.equal(find(documents, "ServiceMonitor", "sluice")["spec"].endpoints[0].honorLabels, true);
  });

  it("has proxies send traces, with headers that are in no argument", async () => {
    const documents = await render(
      ...set("tracing.otlp.url=https://agent:4319", "tracing.otlp.headersSecretRef.name=otlp"),
      ...set("tracing.otlp.protocol=grpc"),
      ...set("tracing.otlp.tls.caSecretRef.name=agent-ca", "tracing.sampleRatio=0.25", "tracing.parent=Ignore"),
      ...set("tracing.slowMs=2000", "tracing.bodies=true", "tracing.metrics=GenAI"),
      ...set("tracing.tags.deployment\\.environment=test", "tracing.tags.team=a b"),
    );
    const [container] = find(documents, "Deployment", "sluice-proxy")["spec"].template.spec.containers;
    const settings = parseProxySettings(container.args.slice(1), {});
    const { otlpUrl, otlpCa, traceRatio, traceParent, traceSlowMs, traceBodies, traceTags, otlpMetrics } = settings;
    assert.equal(settings.otlpProtocol, "grpc");
    assert.deepEqual(
      { otlpUrl, otlpCa, traceRatio, traceParent, traceSlowMs, traceBodies, traceTags, otlpMetrics },
      {
        otlpUrl: "https://agent:4319",
        otlpCa: "/etc/sluice/otlp-ca/ca.crt",
        traceRatio: 0.25,
        traceParent: "Ignore",
        traceSlowMs: 2000,
        traceBodies: true,
        traceTags: { "deployment.environment": "test", team: "a b" },
        otlpMetrics: "GenAI",
      },
    );
    const names = (list: { name: string }[]) => list.map(({ name }) => name);
    assert.ok(names(container.env).includes("SLUICE_OTLP_HEADERS"));
    assert.ok(names(container.volumeMounts).includes("otlp-ca"));
    const egress = find(documents, "NetworkPolicy", "sluice-proxy")["spec"].egress as { ports: { port: number }[] }[];
    assert.ok(egress.some(({ ports }) => ports.some(({ port }) => String(port) === "4319")));
  });

  it("ships dashboards for Grafana's sidecar, and alert rules but those that are disabled", async () => {
    const documents = await render(
      ...set("dashboards.enabled=true", "dashboards.annotations.grafana_folder=Sluice"),
      ...set("prometheusRule.enabled=true", "prometheusRule.labels.release=prometheus"),
      ...set("prometheusRule.disabled={SluiceFailover}", "prometheusRule.runbookURL=https://wiki.example.com/r/"),
      "--api-versions=monitoring.coreos.com/v1",
    );
    for (const [name, dashboard] of Object.entries(dashboards)) {
      const map = find(documents, "ConfigMap", `sluice-dashboard-${name}`);
      assert.equal(map.metadata.labels?.["grafana_dashboard"], "1");
      assert.deepEqual(
        JSON.parse(map["data"][`sluice-${name}.json`]),
        JSON.parse(JSON.stringify(grafanaJson(dashboard))),
      );
    }
    const rule = find(documents, "PrometheusRule", "sluice");
    assert.equal(rule.metadata.labels?.["release"], "prometheus");
    const shipped = rule["spec"].groups.flatMap((group: { rules: { alert: string }[] }) => group.rules) as {
      alert: string;
      expr: string;
      annotations: Record<string, string>;
    }[];
    const all = Object.values(alertGroups).flat();
    assert.deepEqual(
      shipped.map(({ alert }) => alert),
      all.map(({ name }) => name).filter((name) => name !== "SluiceFailover"),
    );
    for (const { alert, expr, annotations } of shipped) {
      const { expr: meant, summary } = all.find(({ name }) => name === alert) ?? {};
      assert.deepEqual([expr, annotations["summary"]], [meant, summary]);
      assert.equal(annotations["runbook_url"], `https://wiki.example.com/r/${alert}.md`);
    }
  });

  it("has proxies share cached answers, sealed with keys that are in no argument", async () => {
    const documents = await render(
      ...set("proxy.cacheStore=Shared", "state.url=redis://valkey:6379", "sealing.keysSecretRef.name=seal"),
    );
    const [container] = find(documents, "Deployment", "sluice-proxy")["spec"].template.spec.containers;
    assert.equal(parseProxySettings(container.args.slice(1), { SLUICE_SEALING_KEYS: "k" }).cacheStore, "Shared");
    assert.deepEqual(referring(container), [
      { name: "SLUICE_SEALING_KEYS", valueFrom: { secretKeyRef: { name: "seal", key: "keys" } } },
    ]);
    await assert.rejects(render(...set("proxy.cacheStore=Redis")), /cacheStore/);
  });

  it("tells proxies of a store that is for cached answers alone", async () => {
    const documents = await render(
      ...set(
        "proxy.cacheStore=Shared",
        "cache.url=rediss://valkey-cache:6379",
        "cache.secretRef.name=vc",
        "cache.tls.caSecretRef.name=vc-ca",
      ),
      ...set("state.url=redis://valkey:6379", "sealing.keysSecretRef.name=seal"),
    );
    const { spec } = find(documents, "Deployment", "sluice-proxy")["spec"].template;
    const [container] = spec.containers;
    const mount = container.volumeMounts.find((one: { name: string }) => one.name === "cache-ca");
    const settings = parseProxySettings(container.args.slice(1), {
      SLUICE_SEALING_KEYS: "k",
      SLUICE_CACHE_PASSWORD: "p",
    });
    assert.deepEqual(
      [settings.cacheUrl, settings.cachePassword, settings.cacheCa, settings.stateUrl, settings.statePassword],
      ["rediss://valkey-cache:6379", "p", `${mount.mountPath}/ca.crt`, "redis://valkey:6379", ""],
    );
    assert.deepEqual(referring(container)[0], {
      name: "SLUICE_CACHE_PASSWORD",
      valueFrom: { secretKeyRef: { name: "vc", key: "password" } },
    });
    assert.deepEqual(
      spec.volumes.find((one: { name: string }) => one.name === "cache-ca"),
      { name: "cache-ca", secret: { secretName: "vc-ca", defaultMode: 440 } },
    );
    for (const [values, why] of [
      [["cache.url=redis://a"], /cache\.url needs proxy\.cacheStore: Shared/],
      [["proxy.cacheStore=Shared", "cache.secretRef.name=vc"], /cache\.secretRef and cache\.tls need cache\.url/],
      [["cache.url=redis://user:secret@a"], /cache.url/],
    ] as const)
      await assert.rejects(render(...set(...values)), why);
  });

  it("tells the operator of the mail server, whose login it gets from a Secret and nowhere else", async () => {
    const documents = await render(
      ...set(
        "alerts.smtp.host=mail.example.com",
        "alerts.smtp.from=sluice@example.com",
        "alerts.smtp.secretRef.name=mail",
      ),
    );
    const settings = operatorSettings.parse(
      parse(find(documents, "ConfigMap", "sluice-operator")["data"]["settings.yaml"]),
    );
    assert.deepEqual(settings.alerts.smtp, {
      host: "mail.example.com",
      port: 587,
      security: "StartTLS",
      from: "sluice@example.com",
    });
    const [container] = find(documents, "Deployment", "sluice-operator")["spec"].template.spec.containers;
    assert.deepEqual(
      referring(container).flatMap(({ name, valueFrom }) =>
        valueFrom.secretKeyRef === undefined ? [] : [[name, valueFrom.secretKeyRef]],
      ),
      [
        ["SLUICE_SMTP_USER", { name: "mail", key: "user" }],
        ["SLUICE_SMTP_PASSWORD", { name: "mail", key: "password" }],
      ],
    );
  });

  it("tells the operator of proxies in front, of countries and of issuers, and gives proxies the database", async () => {
    const documents = await render(
      ...set(
        "proxy.trustedProxies={10.0.0.0/8,2001:db8::/32}",
        "proxy.forwardedHeader=Forwarded",
        "proxy.countryHeader=cf-ipcountry",
      ),
      ...set("proxy.countryDatabase.volume.persistentVolumeClaim.claimName=geo", "proxy.countryDatabase.file=c.mmdb"),
      ...set(
        "identity.issuers[0].name=cluster",
        "identity.issuers[0].kind=Kubernetes",
        "identity.issuers[0].audiences={sluice}",
      ),
      ...set(
        "identity.issuers[1].name=corp",
        "identity.issuers[1].kind=OIDC",
        "identity.issuers[1].issuer=https://id.example.com",
      ),
      ...set(
        "identity.issuers[1].audiences={sluice}",
        "identity.issuers[1].namespace=team-a",
        "identity.issuers[1].claims.user=email",
      ),
    );
    const settings = operatorSettings.parse(
      parse(find(documents, "ConfigMap", "sluice-operator")["data"]["settings.yaml"]),
    );
    assert.deepEqual(settings.origins, {
      trustedProxies: ["10.0.0.0/8", "2001:db8::/32"],
      forwardedHeader: "Forwarded",
      countryHeader: "cf-ipcountry",
    });
    assert.equal(settings.countryDatabase, true);
    assert.deepEqual(
      settings.identity.issuers.map((issuer) => [issuer.name, issuer.kind, issuer.issuer, issuer.audiences]),
      [
        ["cluster", "Kubernetes", undefined, ["sluice"]],
        ["corp", "OIDC", "https://id.example.com", ["sluice"]],
      ],
    );
    const { spec } = find(documents, "Deployment", "sluice-proxy")["spec"].template;
    const [container] = spec.containers;
    const mount = container.volumeMounts.find((one: { name: string }) => one.name === "countries");
    assert.equal(parseProxySettings(container.args.slice(1), {}).countryDatabase, `${mount.mountPath}/c.mmdb`);
    assert.deepEqual(
      spec.volumes.find((one: { name: string }) => one.name === "countries"),
      { name: "countries", persistentVolumeClaim: { claimName: "geo" } },
    );
  });

  it("tells proxies of their store, and gives them its password by the environment only", async () => {
    const documents = await render(
      ...set(
        "state.url=rediss://valkey.cache:6379/0",
        "state.secretRef.name=valkey",
        "state.tls.caSecretRef.name=valkey-ca",
        "state.tls.caSecretRef.key=tls.crt",
      ),
    );
    const { spec } = find(documents, "Deployment", "sluice-proxy")["spec"].template;
    const [container] = spec.containers;
    assert.deepEqual(referring(container), [
      { name: "SLUICE_STATE_PASSWORD", valueFrom: { secretKeyRef: { name: "valkey", key: "password" } } },
    ]);
    const mount = container.volumeMounts.find((one: { name: string }) => one.name === "state-ca");
    const settings = parseProxySettings(container.args.slice(1), { SLUICE_STATE_PASSWORD: "s3cret" });
    assert.equal(settings.stateUrl, "rediss://valkey.cache:6379/0");
    assert.equal(settings.stateCa, `${mount.mountPath}/tls.crt`);
    assert.equal(settings.statePassword, "s3cret");
    assert.deepEqual(
      spec.volumes.find((one: { name: string }) => one.name === "state-ca"),
      { name: "state-ca", secret: { secretName: "valkey-ca", defaultMode: 440 } },
    );
    const refused = await helm("template", "sluice", chart, ...set("state.url=redis://user:secret@valkey:6379"));
    assert.match(refused.stderr, /state.url|state\/url/);
  });

  it("starts proxies with arguments that they take, on the ports of Services and probes", async () => {
    const documents = await render();
    const { spec } = find(documents, "Deployment", "sluice-proxy")["spec"].template;
    const [container] = spec.containers;
    const settings = parseProxySettings(container.args.slice(1), {});
    assert.equal(settings.drainMs, 45_000);
    const defaults = parseProxySettings([], {});
    for (const name of [
      "drainDelayMs",
      "streamKeepAliveMs",
      "streamPauseMs",
      "maxReplyBytes",
      "maxStreamBytes",
      "http1",
    ] as const)
      assert.equal(settings[name], defaults[name], name);
    assert.equal(settings.configDir, container.volumeMounts[0].mountPath);
    assert.deepEqual(container.ports, [
      { name: "http", containerPort: settings.port },
      { name: "status", containerPort: settings.statusPort },
    ]);
    assert.ok(
      spec.terminationGracePeriodSeconds * 1000 > settings.drainMs + container.lifecycle.preStop.sleep.seconds * 1000,
    );
    assert.deepEqual(find(documents, "Deployment", "sluice-proxy")["spec"].strategy.rollingUpdate, {
      maxUnavailable: 0,
      maxSurge: 1,
    });
  });

  it("puts every object into the release's namespace, and names the others so that two releases don't meet", async () => {
    for (const one of await render()) {
      if (one.kind === "CustomResourceDefinition") continue;
      if (one.kind.startsWith("ClusterRole")) assert.match(one.metadata.name, /^llm:sluice-/);
      else assert.equal(one.metadata.namespace, "llm", `${one.kind} ${one.metadata.name}`);
    }
  });

  it("renders whatever can be switched on", async () => {
    const documents = await render(
      ...set(
        "proxy.autoscaling.enabled=true",
        "networkPolicy.enabled=true",
        "networkPolicy.monitoringNamespaceLabels.team=ops",
        "serviceMonitor.enabled=true",
      ),
      ...set("networkPolicy.apiServerAddresses={10.0.0.0/28}"),
      ...set(
        `image.digest=sha256:${"a".repeat(64)}`,
        "imagePullSecrets[0].name=pull",
        "proxy.nodeSelector.zone=a",
        "operator.replicas=2",
        "crds.install=false",
      ),
      "--api-versions=monitoring.coreos.com/v1",
    );
    const kinds = new Set(documents.map(({ kind }) => kind));
    for (const kind of ["HorizontalPodAutoscaler", "NetworkPolicy", "ServiceMonitor", "PodDisruptionBudget"])
      assert.ok(kinds.has(kind), kind);
    assert.equal(kinds.has("CustomResourceDefinition"), false);
    const [, fromWhom] = find(documents, "NetworkPolicy", "sluice-proxy")["spec"].ingress;
    assert.deepEqual(fromWhom.from.at(-1), { ipBlock: { cidr: "10.0.0.0/28" } }, "the API server asks for reports");
    const proxy = find(documents, "Deployment", "sluice-proxy")["spec"];
    assert.equal(proxy.replicas, undefined);
    assert.equal(proxy.template.spec.containers[0].image, `sluice@sha256:${"a".repeat(64)}`);
    assert.deepEqual(proxy.template.spec.nodeSelector, { zone: "a" });
  });

  it("lets nothing be cut off by its NetworkPolicies that its own values name", async () => {
    const ports = (documents: Rendered[], name: string): string[] =>
      find(documents, "NetworkPolicy", name)["spec"].egress.flatMap((rule: { ports: { port: number }[] }) =>
        rule.ports.map(({ port }) => String(port)),
      );
    const plain = await render();
    assert.deepEqual(ports(plain, "sluice-proxy"), ["53", "53", "443"]);
    assert.deepEqual(ports(plain, "sluice-operator"), ["53", "53", "443", "6443", "9090"]);
    const status = { ports: [{ port: "status" }] };
    assert.deepEqual(find(plain, "NetworkPolicy", "sluice-proxy")["spec"].ingress.at(-1), status);
    const named = await render(
      ...set(
        "state.url=rediss+sentinel://user@a:26380\\,b/main",
        "proxy.cacheStore=Shared",
        "cache.url=redis://valkey-cache:7000/1",
        "sealing.keysSecretRef.name=seal",
        "audit.otlp.url=http://collector.observability:4318/v1/logs",
        "alerts.smtp.host=mail.example.com",
        "alerts.smtp.port=2525",
        "alerts.pagerDutyURL=https://events.example.com:8443/v2/enqueue",
        "operator.proxyStatusUrls={http://10.1.2.3:9191}",
        "identity.issuers[0].name=corp",
        "identity.issuers[0].kind=OIDC",
        "identity.issuers[0].namespace=team-a",
        "identity.issuers[0].audiences={a}",
        "identity.issuers[0].issuer=https://idp.example.com:9443/realms/llm",
        "networkPolicy.egressPorts={443,8000}",
      ),
    );
    assert.deepEqual(
      new Set(ports(named, "sluice-proxy")),
      new Set(["53", "443", "8000", "26380", "26379", "6379", "7000", "4318", "9443"]),
    );
    assert.deepEqual(
      new Set(ports(named, "sluice-operator")),
      new Set(["53", "443", "6443", "8000", "2525", "8443", "9191", "9090"]),
    );
  });

  it("with namespaces to watch gives no right to Secrets anywhere else", async () => {
    const documents = await render(...set("operator.watchNamespaces={a,b}"));
    const cluster = find(documents, "ClusterRole", "llm:sluice-operator");
    assert.deepEqual(cluster["rules"], [{ apiGroups: [""], resources: ["namespaces"], verbs: ["list", "watch"] }]);
    const roles = documents.filter(
      (document) => document.kind === "Role" && document.metadata.name === "llm:sluice-operator",
    );
    assert.deepEqual(
      roles.map(({ metadata }) => metadata.namespace),
      ["a", "b"],
    );
  });

  it("gives Pods time to start before liveness counts, and listens on both address families", async () => {
    const documents = await render(...set("proxy.startupSeconds=61", "listenAddress=0.0.0.0"));
    for (const name of ["sluice-proxy", "sluice-operator"]) {
      const [container] = find(documents, "Deployment", name)["spec"].template.spec.containers;
      const { startupProbe, livenessProbe } = container;
      assert.deepEqual(startupProbe.httpGet, livenessProbe.httpGet);
      assert.equal(startupProbe.periodSeconds * startupProbe.failureThreshold, name === "sluice-proxy" ? 62 : 300);
    }
    const [proxy] = find(documents, "Deployment", "sluice-proxy")["spec"].template.spec.containers;
    const { host, statusHost } = parseProxySettings(proxy.args.slice(1), {});
    const settings = parse(find(documents, "ConfigMap", "sluice-operator")["data"]["settings.yaml"]);
    assert.deepEqual([host, statusHost, settings.statusHost], ["0.0.0.0", "0.0.0.0", "0.0.0.0"]);
  });

  it("has sidecars call by TLS where the gateway has a certificate, and trust its authority", async () => {
    const versions = ["--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"];
    const sidecar = async (...values: string[]): Promise<string> => {
      const documents = await render(...versions, ...set("sidecar.injection.enabled=true", ...values));
      const policy = documents.find(({ kind }) => kind === "MutatingAdmissionPolicy");
      return policy?.["spec"].mutations[0].jsonPatch.expression as string;
    };
    assert.match(await sidecar(), /"--fleet=http:\/\/sluice\.llm", "--port=8787"\]/);
    assert.match(await sidecar("proxy.tls.secretName=t"), /"--fleet=https:\/\/sluice\.llm:80"/);
    const whole = await sidecar("proxy.tls.secretName=t", "service.port=443", "sidecar.caConfigMap.name=authorities");
    assert.match(
      whole,
      /"--fleet=https:\/\/sluice\.llm", "--port=8787", "--ca-file=\/var\/run\/secrets\/sluice\/ca\.crt"\]/,
    );
    assert.match(whole, /name: "authorities",\s+items: \[.*key: "ca\.crt", path: "ca\.crt"/);
  });

  const nonsense: [what: string, values: string[], says: RegExp][] = [
    ["a name that isn't a value", ["proxy.replica=3"], /\/proxy.*'replica' not allowed/],
    ["a number of proxies that isn't one", ["proxy.replicas=many"], /\/proxy\/replicas.*got string, want integer/],
    ["a log level that isn't one", ["proxy.logLevel=loud"], /\/proxy\/logLevel.*must be one of/],
    ["a body limit above what proxies take", ["proxy.maxBodyBytes=999999999"], /\/proxy\/maxBodyBytes.*maximum/],
    ["every origin", ["cors.allowedOrigins={*}"], /\/cors\/allowedOrigins\/0.*does not match pattern/],
    [
      "a trusted proxy by name",
      ["proxy.trustedProxies={ingress}"],
      /\/proxy\/trustedProxies\/0.*does not match pattern/,
    ],
    [
      "an issuer without a namespace for its callers",
      [
        "identity.issuers[0].name=corp",
        "identity.issuers[0].kind=OIDC",
        "identity.issuers[0].audiences={a}",
        "identity.issuers[0].issuer=https://a",
      ],
      /\/identity\/issuers\/0.*missing property 'namespace'/,
    ],
    [
      "an issuer's authority that is a file's name",
      ["identity.issuers[0].caBundle=ca.pem"],
      /\/identity\/issuers\/0\/caBundle.*does not match pattern/,
    ],
    [
      "a namespace that can't be",
      ["operator.watchNamespaces={Team_A}"],
      /\/operator\/watchNamespaces\/0.*does not match pattern/,
    ],
    ["a base URL that isn't one", ["baseURL=example.com"], /\/baseURL.*does not match pattern/],
    [
      "a grace period that cuts streams",
      ["proxy.terminationGracePeriodSeconds=20"],
      /terminationGracePeriodSeconds must be at least/,
    ],
    [
      "lease times with which two could lead",
      ["operator.lease.renewDeadlineMs=20000"],
      /retryMs must be less than renewDeadlineMs/,
    ],
    ["a sidecar whose token lives too short", ["sidecar.tokenSeconds=60"], /\/sidecar\/tokenSeconds.*minimum/],
    [
      "a sidecar where the API server can't put it in",
      ["sidecar.injection.enabled=true"],
      /needs MutatingAdmissionPolicy/,
    ],
    [
      "an address to listen on that is neither family's",
      ["listenAddress=localhost"],
      /\/listenAddress.*must be one of/,
    ],
    ["a start in no time", ["proxy.startupSeconds=1"], /\/proxy\/startupSeconds.*minimum/],
    ["headers for no collector", ["tracing.otlp.headersSecretRef.name=otlp"], /needs tracing.otlp.url/],
    ["alert rules where there are none", ["prometheusRule.enabled=true"], /needs the Prometheus operator's CRDs/],
    ["a ServiceMonitor where there are none", ["serviceMonitor.enabled=true"], /needs the Prometheus operator's CRDs/],
  ];
  for (const [what, values, says] of nonsense) {
    it(`refuses ${what}, and says so`, async () => {
      const { code, stderr } = await helm("template", "sluice", chart, ...set(...values));
      assert.notEqual(code, 0);
      assert.match(stderr, says);
    });
  }
});
