/**
 * Our statuses, judged by the libraries of GitOps tools. The objects are the test data that Argo CD's repository asks
 * for with each health script: UPDATE_GOLDEN=1 writes them.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { parse, parseAllDocuments, stringify } from "yaml";
import { apiVersion, type Kind, kindNames } from "../../crds/kinds.ts";
import { newVerdict } from "../../operator/compile/outcome.ts";
import { type Programmed, statusOf } from "../../operator/compile/status.ts";
import type { Problem, ProblemReason, VerdictDraft } from "../../operator/compile/verdict.ts";
import { run } from "../harness/command.ts";
import { type Answer, judge, type Question } from "../harness/gitops-judge.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";

const skip = await skipWithout("gitops-judge", "helm");
const root = join(import.meta.dirname, "../..");
const scripts = join(root, "charts/sluice/argocd");
const nowMs = Date.parse("2026-11-20T12:00:00Z");

const specs: Record<Kind, object> = {
  LLMProvider: { type: "OpenAI", models: [{ name: "gpt-5" }] },
  RoutingPolicy: { match: { models: ["gpt-5"] }, routing: { targets: [{ provider: { name: "openai" } }] } },
  Budget: { amount: "100", period: "Monthly" },
  ApiKey: { user: "alice@example.com", writeTo: { name: "alice" } },
};

interface State {
  kinds?: readonly Kind[];
  verdict?: Partial<VerdictDraft>;
  rollout?: Partial<Programmed>;
  edit?(object: Judged): unknown;
  kstatus: string;
  /** Without a status Flux can evaluate no expression; it asks again. */
  flux?: string;
  argo: { status: string; message: string };
}

interface Judged {
  metadata: Record<string, unknown>;
  spec: object;
  status?: Record<string, unknown>;
}

const problem = (reason: ProblemReason, message: string, severity: Problem["severity"] = "error"): Problem => ({
  reason,
  message,
  path: ["spec"],
  severity,
});
const withCondition = (
  type: string,
  status: "True" | "False",
  reason: string,
  message: string,
): Partial<VerdictDraft> => ({
  conditions: [{ type, status, reason, message }],
});
const live = "every ready proxy serves the object as it is written";
const missing = problem("SecretNotFound", "Secret openai does not exist in namespace team-a");
const healthy = (more = "") => ({ status: "Healthy", message: `${live}${more}` });
const waiting = (message: string) => ({ status: "Progressing", message });
const degraded = (message: string) => ({ status: "Degraded", message });

const states: Record<string, State> = {
  healthy: { kstatus: "Current", argo: healthy() },
  healthy_warning: {
    verdict: { accepted: [problem("RoleNotFound", "no role is named enginer", "warning")] },
    kstatus: "Current",
    argo: healthy("; RoleNotFound: no role is named enginer"),
  },
  healthy_exceeded: {
    kinds: ["Budget"],
    verdict: withCondition("Exceeded", "True", "AmountReached", "USD 100 of 100 are spent"),
    kstatus: "Current",
    argo: healthy("; AmountReached: USD 100 of 100 are spent"),
  },
  healthy_expired: {
    kinds: ["ApiKey"],
    verdict: withCondition("Expired", "True", "Expired", "expired on 2026-11-01"),
    kstatus: "Current",
    argo: healthy("; Expired: expired on 2026-11-01"),
  },
  healthy_unreachable: {
    kinds: ["LLMProvider"],
    verdict: withCondition("Healthy", "False", "Unreachable", "0/3 proxies reach it"),
    kstatus: "Current",
    argo: healthy("; Unreachable: 0/3 proxies reach it"),
  },
  progressing_no_status: {
    edit: (object) => delete object.status,
    // kstatus knows no better, so the operator writes a status at once.
    kstatus: "Current",
    flux: "error",
    argo: waiting("Waiting for the operator"),
  },
  progressing_new_generation: {
    edit: ({ metadata }) => (metadata["generation"] = 3),
    kstatus: "InProgress",
    argo: waiting("Waiting for the operator"),
  },
  progressing_rollout: {
    rollout: { live: 1 },
    kstatus: "InProgress",
    argo: waiting("1/3 proxies at 7f3a91c2d004"),
  },
  progressing_not_published: {
    verdict: { unpublished: true },
    kstatus: "InProgress",
    argo: waiting("this form could not be published yet; the operator retries, and its log says why (3 proxies)"),
  },
  progressing_no_proxies: {
    rollout: { live: 0, total: 0 },
    kstatus: "InProgress",
    argo: waiting("no proxy is ready"),
  },
  progressing_deletion: {
    edit: ({ metadata }) => (metadata["deletionTimestamp"] = "2026-11-20T12:00:00Z"),
    kstatus: "Terminating",
    // Flux prunes and does not ask for the health of what it prunes.
    flux: "Current",
    argo: waiting("Waiting for deletion"),
  },
  degraded_not_served: {
    verdict: { live: "none", resolvedRefs: [missing] },
    kstatus: "Failed",
    argo: degraded(`SecretNotFound: ${missing.message}`),
  },
  degraded_last_good: {
    verdict: { live: "lastGood", accepted: [problem("Invalid", "spec.x is wrong")], refsUnknown: true },
    kstatus: "Failed",
    argo: degraded("Invalid: spec.x is wrong"),
  },
  degraded_partial: {
    verdict: { live: "partial", resolvedRefs: [missing] },
    kstatus: "Failed",
    argo: degraded(`SecretNotFound: ${missing.message}`),
  },
};

function objectOf(kind: Kind, { verdict, rollout, edit }: State): Judged & { apiVersion: string; kind: string } {
  const meta = { name: "example", namespace: "team-a", uid: "", generation: 2, createdAtMs: 0, labels: {} };
  const status = statusOf(
    { ...newVerdict(kind, meta), live: "current", ...verdict },
    { revision: "7f3a91c2d004", live: 3, total: 3, ...rollout },
    {},
    nowMs,
  );
  const { name, namespace, generation } = meta;
  const object = { apiVersion, kind, metadata: { name, namespace, generation }, spec: specs[kind], status };
  edit?.(object);
  return object;
}

const cases = kindNames.flatMap((kind) =>
  Object.entries(states)
    .filter(([, { kinds = kindNames }]) => kinds.includes(kind))
    .map(([name, state]) => ({ kind, name, state, object: objectOf(kind, state) })),
);

const health = (kind: Kind): string => readFileSync(join(scripts, kind, "health.lua"), "utf8");

async function golden(path: string, content: string): Promise<void> {
  const file = join(scripts, path);
  if (process.env["UPDATE_GOLDEN"]) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  assert.equal(await readFile(file, "utf8"), content, path);
}

/** The expressions of the example, by kind. */
function fluxExpressions(): Map<string, { current: string; failed: string }> {
  const text = readFileSync(join(root, "examples/gitops/flux/team-a.yaml"), "utf8");
  const documents = parseAllDocuments(text).map((one) => one.toJS() as Record<string, never>);
  const { spec } = documents.find(({ kind }) => kind === "Kustomization") as unknown as {
    spec: { healthCheckExprs: { kind: string; current: string; failed: string }[] };
  };
  return new Map(spec.healthCheckExprs.map((expr) => [expr.kind, expr]));
}

/** Helm's indentation leaves a space at the end of empty lines. */
const withoutEmptyLines = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, one: unknown) => (typeof one === "string" ? one.trim() : one)));

async function judged(ask: (one: (typeof cases)[number]) => Question): Promise<Map<string, Answer>> {
  const answers = await judge(cases.map(ask));
  return new Map(cases.map(({ kind, name }, index) => [`${kind} ${name}`, answers[index] ?? {}]));
}

describe("the health of an object", { skip }, () => {
  it("is what kstatus says of it", async () => {
    const answers = await judged(({ object }) => ({ judge: "kstatus", object }));
    const found = cases.map(({ kind, name }) => [kind, name, answers.get(`${kind} ${name}`)?.status]);
    assert.deepEqual(
      found,
      cases.map(({ kind, name, state }) => [kind, name, state.kstatus]),
    );
  });

  it("is what Argo CD says of it, by the script that the chart ships", async () => {
    const answers = await judged(({ kind, object }) => ({ judge: "argo", object, script: health(kind) }));
    const found = cases.map(({ kind, name }) => [kind, name, answers.get(`${kind} ${name}`)?.result]);
    assert.deepEqual(
      found,
      cases.map(({ kind, name, state }) => [kind, name, state.argo]),
    );
  });

  it("is what Flux says of it, by the expressions of the example", async () => {
    const expressions = fluxExpressions();
    assert.deepEqual([...expressions.keys()].sort(), [...kindNames].sort());
    const answers = await judged(({ kind, object }) => ({
      judge: "flux",
      object,
      expressions: expressions.get(kind) ?? { current: "" },
    }));
    const found = cases.map(({ kind, name }) => {
      const { status, error } = answers.get(`${kind} ${name}`) ?? {};
      return [kind, name, error === undefined ? status : "error"];
    });
    assert.deepEqual(
      found,
      cases.map(({ kind, name, state }) => [kind, name, state.flux ?? state.kstatus]),
    );
  });

  for (const kind of kindNames)
    it(`comes with test data for Argo CD's repository: ${kind}`, async () => {
      const own = cases.filter((row) => row.kind === kind);
      for (const { name, object } of own)
        await golden(`${kind}/testdata/${name}.yaml`, stringify(object, { lineWidth: 0 }));
      const tests = own.map(({ name, state }) => ({ healthStatus: state.argo, inputPath: `testdata/${name}.yaml` }));
      await golden(`${kind}/health_test.yaml`, stringify({ tests }, { lineWidth: 0 }));
    });
});

describe("an action of Argo CD", { skip }, () => {
  const action = (kind: Kind, name: string): string =>
    readFileSync(join(scripts, kind, "actions", name, "action.lua"), "utf8");
  const canary = { target: "b", percent: 5, for: "1h", succeedWhen: { errorRate: "<1%" } };
  const policy = (more: object, status: object = {}) => ({
    apiVersion,
    kind: "RoutingPolicy",
    metadata: { name: "chat", namespace: "team-a" },
    spec: { match: {}, routing: { targets: [], ...more } },
    status,
  });
  const key = (more: object) => ({
    apiVersion,
    kind: "ApiKey",
    metadata: { name: "alice", namespace: "team-a" },
    spec: { user: "alice@example.com", ...more },
  });
  const rows: { name: string; kind: Kind; object: object; offered: string[] }[] = [
    { name: "a key in use", kind: "ApiKey", object: key({}), offered: ["revoke", "rotate"] },
    { name: "a revoked key", kind: "ApiKey", object: key({ revoked: true }), offered: ["restore"] },
    { name: "a policy without a canary", kind: "RoutingPolicy", object: policy({}), offered: [] },
    { name: "a canary", kind: "RoutingPolicy", object: policy({ canary }), offered: ["pause-canary"] },
    {
      name: "a paused canary",
      kind: "RoutingPolicy",
      object: policy({ canary: { ...canary, paused: true } }),
      offered: ["resume-canary"],
    },
    {
      name: "a promoted canary",
      kind: "RoutingPolicy",
      object: policy({ canary }, { canary: { phase: "Promoted" } }),
      offered: [],
    },
  ];
  for (const { name, kind, object, offered } of rows)
    it(`is offered where it has an effect: ${name}`, async () => {
      const script = readFileSync(join(scripts, kind, "actions/discovery.lua"), "utf8");
      const [answer] = await judge([{ judge: "argo", object, script }]);
      const found = Object.entries((answer?.result ?? {}) as Record<string, { disabled: boolean }>);
      assert.deepEqual(
        found
          .filter(([, { disabled }]) => !disabled)
          .map(([at]) => at)
          .sort(),
        offered,
      );
    });

  it("changes the field that it is for, and nothing else", async () => {
    const asked: [Kind, string, object][] = [
      ["ApiKey", "revoke", key({})],
      ["ApiKey", "restore", key({ revoked: true })],
      ["ApiKey", "rotate", key({ rotation: { every: "30d" } })],
      ["RoutingPolicy", "pause-canary", policy({ canary })],
      ["RoutingPolicy", "resume-canary", policy({ canary: { ...canary, paused: true } })],
    ];
    const answers = await judge(
      asked.map(([kind, name, object]) => ({ judge: "argo", object, script: action(kind, name) })),
    );
    const [revoked, restored, rotated, paused, resumed] = answers.map(
      ({ result }) => (result as { spec: object }).spec,
    );
    assert.deepEqual(revoked, { user: "alice@example.com", revoked: true });
    assert.deepEqual(restored, { user: "alice@example.com", revoked: false });
    const { requestedAt, ...rotation } = (rotated as { rotation: Record<string, string> }).rotation;
    assert.match(requestedAt ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.deepEqual(rotation, { every: "30d" });
    assert.deepEqual((paused as { routing: object }).routing, { targets: [], canary: { ...canary, paused: true } });
    assert.deepEqual((resumed as { routing: object }).routing, { targets: [], canary: { ...canary, paused: false } });
  });

  it("is in the chart's ConfigMap, as in the example's", async () => {
    const set = ["--set", "argocd.customizations=true", "-s", "templates/argocd-customizations.yaml"];
    const { stdout, stderr } = await run(await ensureTool("helm"), [
      "template",
      "x",
      join(root, "charts/sluice"),
      ...set,
    ]);
    const example = readFileSync(join(root, "examples/gitops/argocd/argocd-cm.yaml"), "utf8");
    const settings = [parse(stdout), parse(example)].map(({ data }) =>
      Object.fromEntries(
        Object.entries(data as Record<string, string>).map(([name, text]) => [
          name,
          name.includes(".actions.") ? withoutEmptyLines(parse(text)) : text.trim(),
        ]),
      ),
    );
    assert.deepEqual(settings[0], settings[1], stderr);
  });

  it("is in the settings for argocd-cm, as are the health scripts", () => {
    const { data } = parse(readFileSync(join(root, "examples/gitops/argocd/argocd-cm.yaml"), "utf8")) as {
      data: Record<string, string>;
    };
    for (const kind of kindNames) {
      assert.equal(data[`resource.customizations.health.sluice.dev_${kind}`], health(kind));
      const folder = join(scripts, kind, "actions");
      if (!existsSync(folder)) continue;
      const given = parse(data[`resource.customizations.actions.sluice.dev_${kind}`] ?? "") as {
        "discovery.lua": string;
        definitions: { name: string; "action.lua": string }[];
      };
      assert.equal(given["discovery.lua"], readFileSync(join(folder, "discovery.lua"), "utf8"));
      for (const { name, "action.lua": script } of given.definitions) assert.equal(script, action(kind, name));
    }
  });
});
