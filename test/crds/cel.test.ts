/** The CRDs on a real API server: they are taken, and they refuse, default and show what the offline parse says. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import { apiVersion, group, type Kind, kinds, version } from "../../crds/kinds.ts";
import { parseSpec } from "../../crds/parse.ts";
import { type Schema, structural } from "../../crds/structural.ts";
import { type ApiServer, startApiServer } from "../harness/apiserver.ts";
import { run } from "../harness/command.ts";
import { eventually } from "../harness/gateway.ts";
import { ensureTool, skipWithout } from "../harness/tools.ts";
import { type Answer, kubeClient } from "./kube.ts";
import { others, worded } from "./mistakes.ts";
import { mutations } from "./mutations.ts";
import { accepted, boundRefusals, ruleRefusals, unknownFields } from "./rows.ts";

const skip = await skipWithout("etcd", "kube-apiserver", "kubectl");

const root = join(import.meta.dirname, "../..");
const crdPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/** The lists of a manifest that no other list holds, by path. Defaults elsewhere may add lists of their own. */
function listsIn(value: unknown, path = "spec"): Record<string, unknown> {
  if (Array.isArray(value)) return { [path]: value };
  if (value === null || typeof value !== "object") return {};
  return Object.assign({}, ...Object.entries(value).map(([name, member]) => listsIn(member, `${path}.${name}`)));
}

const objectPath = (kind: Kind, namespace = "default"): string =>
  `/apis/${group}/${version}/namespaces/${namespace}/${kinds[kind].plural}`;

interface Crd {
  status?: { conditions?: { type: string; status: string; message: string }[] };
}

describe("the CRDs on an API server", { skip }, () => {
  let server: ApiServer;
  let kube: ReturnType<typeof kubeClient>;
  let made = 0;

  const create = (kind: Kind, spec: unknown, query = "?fieldValidation=Strict"): Promise<Answer> => {
    made += 1;
    return kube("POST", `${objectPath(kind)}${query}`, {
      apiVersion,
      kind,
      metadata: { name: `object-${made}` },
      spec,
    });
  };
  const messageOf = (answer: Answer): string => String(answer.body["message"]);

  async function established(plural: string): Promise<Crd> {
    for (let attempt = 0; attempt < 900; attempt++) {
      const crd = (await kube("GET", `${crdPath}/${plural}.${group}`)).body as Crd;
      if (crd.status?.conditions?.some((condition) => condition.type === "Established" && condition.status === "True"))
        return crd;
      await sleep(100);
    }
    throw new Error(`${plural} is not established`);
  }

  before(async () => {
    server = await startApiServer();
    kube = kubeClient(server);
    for (const { plural } of Object.values(kinds)) {
      const answer = await kube(
        "POST",
        `${crdPath}?fieldValidation=Strict`,
        parse(await readFile(join(root, `crds/${plural}.yaml`), "utf8")),
      );
      // Costs of the rules are judged here: one that could run too long is refused with the whole CRD.
      assert.equal(answer.status, 201, messageOf(answer));
      assert.deepEqual(answer.warnings, []);
    }
    for (const { plural } of Object.values(kinds)) await established(plural);
    // A CRD is served shortly after it is established.
    for (const kind of Object.keys(kinds) as Kind[]) {
      for (let attempt = 0; attempt < 900 && (await kube("GET", objectPath(kind))).status !== 200; attempt++)
        await sleep(100);
    }
  });
  after(() => server?.stop());

  for (const { plural } of Object.values(kinds)) {
    it(`are structural, and their names are free: ${plural}`, async () => {
      const { conditions = [] } = (await established(plural)).status ?? {};
      assert.deepEqual(
        conditions
          .map((one) => `${one.type}=${one.status}`)
          .filter((one) => !one.startsWith("KubernetesAPIApprovalPolicyConformant"))
          .sort(),
        ["Established=True", "NamesAccepted=True"],
      );
    });
  }

  describe("refuse", () => {
    for (const [name, { kind, spec, server: expected }] of Object.entries({ ...ruleRefusals, ...boundRefusals })) {
      it(name, async () => {
        const answer = await create(kind, spec);
        assert.equal(answer.status, 422, messageOf(answer));
        assert.match(messageOf(answer), expected);
      });
    }
    for (const [name, { kind, spec, server: expected }] of Object.entries(unknownFields)) {
      it(`${name}, under the strict validation that kubectl asks for`, async () => {
        const answer = await create(kind, spec);
        assert.equal(answer.status, 400, messageOf(answer));
        assert.match(messageOf(answer), expected);
      });
    }
  });

  describe("take", () => {
    for (const [name, { kind, spec }] of Object.entries(accepted)) {
      it(`${name}, with the defaults that are filled in offline`, async () => {
        const answer = await create(kind, spec);
        assert.equal(answer.status, 201, messageOf(answer));
        assert.deepEqual(answer.warnings, []);
        const offline = parseSpec(kind, spec);
        assert.ok(offline.ok);
        const [stored, written] = [listsIn(answer.body["spec"]), listsIn(spec)];
        for (const [path, list] of Object.entries(written)) assert.deepEqual(stored[path], list, path);
        const again = parseSpec(kind, answer.body["spec"]);
        assert.deepEqual(again, offline, "what the server stored means the same");
      });
    }
  });

  describe("agree with the offline parse on every small change, in verdict and in what is stored,", () => {
    for (const [name, { kind, spec }] of Object.entries(accepted)) {
      if (!name.endsWith("with everything")) continue;
      it(`to ${name}`, async () => {
        const disagreements: string[] = [];
        for (const change of mutations(spec)) {
          const answer = await create(kind, change.spec, "?fieldValidation=Strict&dryRun=All");
          const offline = parseSpec(kind, change.spec);
          const said = offline.ok ? "takes it" : offline.problems.map((problem) => problem.message).join("; ");
          if ((answer.status === 201) !== offline.ok)
            disagreements.push(`${change.what}: server ${messageOf(answer)}, offline ${said}`);
          else if (offline.ok && !isDeepStrictEqual(parseSpec(kind, answer.body["spec"]), offline))
            disagreements.push(`${change.what}: stored otherwise`);
        }
        assert.deepEqual(disagreements, []);
      });
    }
  });

  it("drop an unknown field where a client asks for no validation, and the rest stays valid", async () => {
    const answer = await create("Budget", { amount: "1", period: "Daily", currency: "EUR" }, "?fieldValidation=Ignore");
    assert.equal(answer.status, 201);
    assert.ok(parseSpec("Budget", answer.body["spec"]).ok);
  });

  describe("show", () => {
    const conditions = (programmed: string) =>
      [
        { type: "Accepted", status: "True", reason: "Accepted", message: "" },
        { type: "Programmed", status: programmed, reason: "Pending", message: "1/3 proxies at 7f3a91c2" },
        { type: "Ready", status: programmed, reason: "Pending", message: "1/3 proxies at 7f3a91c2" },
        { type: "Warning", status: "True", reason: "RoleNotFound", message: "no role is named x" },
      ].map((one) => ({ ...one, lastTransitionTime: "2026-11-21T00:00:00Z", observedGeneration: 1 }));

    const told = (event: string) => ({
      alerts: [
        {
          event,
          state: "Active",
          since: "2027-02-01T00:00:00.000Z",
          value: "6%",
          bound: "5%",
          detail: "6% of 100",
          told: ["slack-1"],
          toldOver: [],
        },
      ],
      alertTest: { requestedAt: "now", results: [{ channel: "slack-1", result: "sent" }] },
    });
    const tables: Record<Kind, { spec: string; status: Record<string, unknown>; cells: Record<string, unknown> }> = {
      LLMProvider: {
        spec: "a provider with everything",
        status: {
          models: 2,
          endpoint: "https://api.openai.com/v1",
          ...told("ErrorRate"),
        },
        cells: {
          Type: "OpenAI",
          Models: 2,
          Accepted: "True",
          Programmed: "False",
          Ready: "False",
          Warning: "RoleNotFound",
          Healthy: null,
          Alert: "ErrorRate",
          Endpoint: "https://api.openai.com/v1",
          Why: "1/3 proxies at 7f3a91c2",
        },
      },
      RoutingPolicy: {
        spec: "a policy with everything",
        status: {
          targets: 2,
          ...told("Failover"),
        },
        cells: {
          Path: "/team-a/chat",
          Models: '["gpt-4","gpt-4o"]',
          Strategy: "Priority",
          Accepted: "True",
          Programmed: "False",
          Ready: "False",
          Warning: "RoleNotFound",
          Alert: "Failover",
          Canary: null,
          Why: "1/3 proxies at 7f3a91c2",
        },
      },
      Budget: {
        spec: "a budget with everything",
        status: {
          periodStart: "2027-02-01T00:00:00.000Z",
          resetsAt: "2027-03-01T00:00:00Z",
          spent: "12.50",
          remaining: "8999987.499999999",
          groupCount: 1,
          groups: [{ subject: "alice", spent: "12.50" }],
          crossings: [
            {
              event: "Threshold",
              percent: 80,
              subject: "alice",
              at: "2027-02-02T00:00:00.000Z",
              spent: "9.00",
              told: ["slack-1"],
            },
          ],
          history: [{ periodStart: "2027-01-01T00:00:00.000Z", spent: "3.00" }],
          alertTest: { requestedAt: "now", results: [{ channel: "slack-1", result: "sent" }] },
        },
        cells: {
          Amount: "8999999.999999999",
          Period: "Monthly",
          Per: "User",
          Enforcement: "Soft",
          Spent: "12.50",
          Remaining: "8999987.499999999",
          Resets: "2027-03-01T00:00:00Z",
          Exceeded: null,
          Limits: '[{"requests":100,"window":"1h"},{"concurrency":5}]',
          Accepted: "True",
          Programmed: "False",
          Ready: "False",
          Warning: "RoleNotFound",
          Why: "1/3 proxies at 7f3a91c2",
        },
      },
      ApiKey: {
        spec: "a key with everything",
        status: { keyPrefix: "slc_7Qm2", expiresAt: "2027-02-18T00:00:00Z" },
        cells: {
          User: "alice@example.com",
          Team: "a",
          Role: "data-scientist",
          Prefix: "slc_7Qm2",
          Expires: "2027-02-18T00:00:00Z",
          Revoked: true,
          Accepted: "True",
          Programmed: "False",
          Ready: "False",
          Warning: "RoleNotFound",
          Why: "1/3 proxies at 7f3a91c2",
        },
      },
    };

    for (const [kind, { spec, status, cells }] of Object.entries(tables) as [Kind, (typeof tables)[Kind]][]) {
      it(`${kinds[kind].plural} in columns, from a status that only the subresource sets`, async () => {
        const name = `shown-${kinds[kind].singular}`;
        const object = { apiVersion, kind, metadata: { name }, spec: accepted[spec]?.spec };
        const created = await kube("POST", objectPath(kind), { ...object, status });
        assert.equal(created.body["status"], undefined);
        const patch = {
          status: { ...status, observedGeneration: 1, why: "1/3 proxies at 7f3a91c2", conditions: conditions("False") },
        };
        const type = { "content-type": "application/merge-patch+json" };
        const patched = await kube("PATCH", `${objectPath(kind)}/${name}/status?fieldValidation=Strict`, patch, type);
        assert.equal(patched.status, 200, messageOf(patched));
        const { body } = await kube("GET", `${objectPath(kind)}/${name}`, undefined, {
          accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
        });
        const { columnDefinitions, rows } = body as {
          columnDefinitions: { name: string; description: string }[];
          rows: { cells: unknown[] }[];
        };
        const shown = Object.fromEntries(
          columnDefinitions.map((column, index) => [column.name, rows[0]?.cells[index]]),
        );
        assert.deepEqual({ ...shown, Name: undefined, Age: undefined }, { ...cells, Name: undefined, Age: undefined });
        assert.ok(columnDefinitions.every((column) => column.description !== ""));
      });
    }
  });

  it("take the largest policy: its rules stay within what the server gives to one object", async () => {
    const names = (of: string): string[] => Array.from({ length: 64 }, (_, at) => `${of}.${at}.`.padEnd(128, "x"));
    const rules = Array.from({ length: 32 }, (_, at) => ({
      when: {
        tags: names(`t${at}`),
        roles: names(`r${at}`),
        teams: names(`e${at}`),
        users: names(`u${at}`),
        models: names(`m${at}`),
      },
      use: ["openai"],
    }));
    const answer = await create("RoutingPolicy", {
      match: { models: names("m") },
      routing: { targets: [{ provider: { name: "openai" } }], rules },
    });
    assert.equal(answer.status, 201, messageOf(answer));
  });

  it("leave an object alone that is older than a rule, warn of it, and refuse it where it is changed", async () => {
    const rulesOfNetworks = [
      "spec",
      "versions",
      "0",
      "schema",
      "openAPIV3Schema",
      "properties",
      "spec",
      "properties",
      "access",
      "properties",
      "networks",
      "items",
    ];
    const place = `/${rulesOfNetworks.join("/")}/x-kubernetes-validations`;
    const crd = `${crdPath}/${kinds.RoutingPolicy.plural}.${group}`;
    const change = (operation: object) =>
      kube("PATCH", crd, [{ path: place, ...operation }], { "content-type": "application/json-patch+json" });
    const own = (await kube("GET", crd)).body;
    const rules = rulesOfNetworks.reduce((at, step) => (at as Record<string, unknown>)[step], own as unknown) as Record<
      string,
      unknown
    >;
    const object = (name: string, networks: string[]) => ({
      apiVersion,
      kind: "RoutingPolicy",
      metadata: { name },
      spec: {
        match: { models: ["a"] },
        routing: { targets: [{ provider: { name: "openai" } }] },
        access: { networks },
      },
    });
    const merge = { "content-type": "application/merge-patch+json" };
    const path = `${objectPath("RoutingPolicy")}/older`;
    assert.equal((await change({ op: "remove" })).status, 200);
    // A changed CRD is in force shortly after.
    await eventually(
      async () => (await kube("POST", objectPath("RoutingPolicy"), object("older", ["10.0.0.0/33"]))).status === 201,
    );
    assert.equal((await change({ op: "add", value: rules["x-kubernetes-validations"] })).status, 200);
    await eventually(
      async () =>
        (await kube("POST", `${objectPath("RoutingPolicy")}?dryRun=All`, object("newer", ["10.0.0.0/33"]))).status ===
        422,
    );
    const status = await kube("PATCH", `${path}/status`, { status: { targets: 1 } }, merge);
    assert.equal(status.status, 200, messageOf(status));
    const unchanged = await kube("PATCH", path, { spec: { match: { models: ["a", "b"] } } }, merge);
    assert.equal(unchanged.status, 200, messageOf(unchanged));
    assert.match(unchanged.warnings.join("\n"), /spec\.access\.networks\[0\]/);
    const changed = await kube("PATCH", path, object("older", ["10.0.0.0/34"]), merge);
    assert.equal(changed.status, 422);
    assert.match(messageOf(changed), /spec\.access\.networks\[0\]: .*after a \/ at most 32/);
    assert.equal((await kube("DELETE", path)).status, 200);
  });

  describe("in the hands of kubectl", () => {
    const given = async (input: string, ...args: string[]): ReturnType<typeof run> =>
      run(await ensureTool("kubectl"), args, {
        env: { ...process.env, KUBECONFIG: server.adminKubeconfigPath },
        cwd: root,
        input,
      });
    const kubectl = (...args: string[]): ReturnType<typeof run> => given("", ...args);

    it("are applied from their folder as it is, without a warning", async () => {
      const done = await kubectl("apply", "--server-side", "--force-conflicts", "-f", "crds/");
      assert.equal(done.code, 0, done.stderr);
      assert.equal(done.stderr, "");
      assert.equal(done.stdout.trim().split("\n").length, 4);
    });

    for (const [what, { manifest, kubectl: expected }] of Object.entries({ ...worded, ...others })) {
      it(`answer ${what}`, async () => {
        const done = await given(manifest, "apply", "-f", "-");
        assert.equal(done.code, 1, done.stdout);
        assert.ok(done.stderr.includes(expected), done.stderr);
        assert.doesNotMatch(done.stderr, /planted/i, "what may be a secret");
      });
    }

    it("are explained in the words of the schema", async () => {
      const done = await kubectl("explain", "llmproviders.spec.timeouts.firstToken");
      assert.equal(done.code, 0, done.stderr);
      const shown = done.stdout.replaceAll(/\s+/g, " ");
      assert.match(
        shown,
        /Time to the first byte of a stream\. Must be a duration above zero and below 100h, such as 500ms,/,
      );
    });

    it("say of a list what each entry must be", async () => {
      const done = await kubectl("explain", "routingpolicies.spec.access.networks");
      assert.match(done.stdout.replaceAll(/\s+/g, " "), /Each must be a network such as 10\.0\.0\.0\/8/);
    });

    it("are listed together by their category", async () => {
      const done = await kubectl("get", "sluice", "-o", "name");
      assert.equal(done.code, 0, done.stderr);
      for (const { singular } of Object.values(kinds))
        assert.match(done.stdout, new RegExp(`^${singular}\\.${group}/shown-`, "m"));
    });
  });
});

it("every rule of the schemas has a spec that breaks it", () => {
  const messages = (schema: Schema): string[] => [
    ...(schema["x-kubernetes-validations"] ?? []).map((rule) => rule.message),
    ...[schema.items, schema.additionalProperties, ...Object.values(schema.properties ?? {})].flatMap((below) =>
      below ? messages(below) : [],
    ),
  ];
  const told = Object.values(ruleRefusals).flatMap(({ kind, spec }) => {
    const parsed = parseSpec(kind, spec);
    return parsed.ok ? [] : parsed.problems.map((problem) => problem.message);
  });
  const all = [...new Set(Object.values(kinds).flatMap((kind) => messages(structural(kind.spec, kind.kind))))];
  // A map's keys are zod's to judge offline, one by one.
  const untold = all.filter(
    (message) => !/^(keys can have|each key must be) /.test(message) && !told.some((one) => one.includes(message)),
  );
  assert.deepEqual(untold, []);
});
