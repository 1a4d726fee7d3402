/** `spec.credentials.workloadIdentity`: what is accepted, for whom, and what the status says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compile } from "../../operator/compile/compile.ts";
import { healthCondition } from "../../operator/compile/health.ts";
import type { CloudIdentityGrant, CompileSettings, WorldObject } from "../../operator/compile/world.ts";
import { installation, renderedSettings } from "../../operator/settings/installation.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import type { RenderedConfig } from "../../proxy/config/schema.ts";

const role = "arn:aws:iam::111122223333:role/llm-team-a";
const client = "11111111-2222-3333-4444-555555555555";
const account = "llm@my-project.iam.gserviceaccount.com";

function run(
  spec: Record<string, unknown>,
  settings: Partial<CompileSettings> = {},
  previous: RenderedConfig | null = null,
) {
  const object: WorldObject = {
    kind: "LLMProvider",
    meta: { name: "p", namespace: "team-a", uid: "u", generation: 1, createdAtMs: 1, labels: {} },
    spec: { type: "Bedrock", options: { region: "eu-central-1" }, models: [{ name: "m" }], ...spec },
    status: {},
  };
  const compiled = compile(
    {
      world: { objects: [object], secrets: {}, namespaces: {} },
      settings: { proxy: renderedSettings(installation.parse({})), sharingNamespaces: "*", ...settings },
      previous,
      nowMs: 0,
    },
    capabilitiesByType,
  );
  const [verdict] = compiled.verdicts;
  return {
    config: compiled.config,
    identity: compiled.config.providers[0]?.identity,
    live: verdict?.live,
    problems: [...(verdict?.accepted ?? []), ...(verdict?.resolvedRefs ?? [])].map(
      ({ reason, message }) => `${reason}: ${message}`,
    ),
  };
}

const azureSpec = { type: "AzureOpenAI", endpoint: "https://x.openai.azure.com", options: {} };
const own = { namespaces: ["team-a"], awsRoles: [], azureClients: [], googleServiceAccounts: [] };
const grant = (more: Partial<CloudIdentityGrant>): CloudIdentityGrant[] => [{ ...own, ...more }];

describe("a workload identity", () => {
  it("takes the place of a Secret", () => {
    const { identity, live, problems } = run({ credentials: { workloadIdentity: { aws: { roleArn: role } } } });
    assert.deepEqual(problems, []);
    assert.equal(live, "current");
    assert.deepEqual(identity, { cloud: "aws", roleArn: role, externalId: null, tagged: false });
  });

  const refused: [what: string, spec: Record<string, unknown>, said: RegExp][] = [
    ["none, and no Secret", {}, /Bedrock needs spec.credentials.secretRef or workloadIdentity/],
    ["neither of the two", { credentials: {} }, /set exactly one of secretRef and workloadIdentity/],
    [
      "both kinds of credentials",
      { credentials: { secretRef: { name: "k" }, workloadIdentity: { aws: {} } } },
      /set exactly one of secretRef and workloadIdentity/,
    ],
    ["no cloud", { credentials: { workloadIdentity: {} } }, /set exactly one of aws, azure and google/],
    [
      "two clouds",
      { credentials: { workloadIdentity: { aws: {}, azure: {} } } },
      /set exactly one of aws, azure and google/,
    ],
    [
      "a cloud that the type isn't of",
      { credentials: { workloadIdentity: { azure: {} } } },
      /Bedrock can use workloadIdentity.aws only/,
    ],
    [
      "a type without identities",
      { type: "OpenAI", options: {}, credentials: { workloadIdentity: { aws: {} } } },
      /OpenAI has no cloud identities; set spec.credentials.secretRef/,
    ],
    [
      "an external id without a role",
      { credentials: { workloadIdentity: { aws: { externalId: "e-1" } } } },
      /externalId and sessionTags need roleArn/,
    ],
    [
      "tags without a role",
      { credentials: { workloadIdentity: { aws: { sessionTags: true } } } },
      /externalId and sessionTags need roleArn/,
    ],
    [
      "a role's name alone",
      { credentials: { workloadIdentity: { aws: { roleArn: "llm-team-a" } } } },
      /must be the role's whole ARN, such as arn:aws/,
    ],
    [
      "a user's ARN",
      { credentials: { workloadIdentity: { aws: { roleArn: "arn:aws:iam::111122223333:user/bob" } } } },
      /must be the ARN of a role/,
    ],
    [
      "a client's name",
      { ...azureSpec, credentials: { workloadIdentity: { azure: { clientId: "llm" } } } },
      /must be the client id of a managed identity or application/,
    ],
    [
      "a tenant alone",
      { ...azureSpec, credentials: { workloadIdentity: { azure: { tenantId: client } } } },
      /tenantId needs clientId/,
    ],
    [
      "a person's address",
      { credentials: { workloadIdentity: { google: { serviceAccount: "bob@example.com" } } } },
      /must be the e-mail address of a service account/,
    ],
  ];
  for (const [what, spec, said] of refused)
    it(`is refused: ${what}`, () => {
      const { live, problems } = run(spec);
      assert.equal(live, "none");
      assert.ok(
        problems.some((problem) => said.test(problem)),
        problems.join("\n"),
      );
    });
});

describe("an installation's cloudIdentities", () => {
  const aws = (more: object) => ({ credentials: { workloadIdentity: { aws: more } } });
  const azure = (more: object) => ({ ...azureSpec, credentials: { workloadIdentity: { azure: more } } });
  const rows: [what: string, spec: Record<string, unknown>, grants: CloudIdentityGrant[] | undefined, may: boolean][] =
    [
      ["absent: linting a folder", aws({ roleArn: role }), undefined, true],
      ["none", aws({ roleArn: role }), [], false],
      ["the role", aws({ roleArn: role }), grant({ awsRoles: [role] }), true],
      [
        "the start of the role",
        aws({ roleArn: role }),
        grant({ awsRoles: ["arn:aws:iam::111122223333:role/llm-*"] }),
        true,
      ],
      ["another role", aws({ roleArn: role }), grant({ awsRoles: [`${role}-2`] }), false],
      ["the role's start without *", aws({ roleArn: role }), grant({ awsRoles: [role.slice(0, -1)] }), false],
      ["any role", aws({ roleArn: role }), grant({ awsRoles: ["*"] }), true],
      ["the role for another namespace", aws({ roleArn: role }), grant({ namespaces: ["b"], awsRoles: [role] }), false],
      ["the role for all namespaces", aws({ roleArn: role }), grant({ namespaces: ["*"], awsRoles: [role] }), true],
      ["Own, and it is the proxies' own", aws({}), grant({ awsRoles: ["Own"] }), true],
      ["Own, and it is a role", aws({ roleArn: role }), grant({ awsRoles: ["Own"] }), false],
      ["a role, and it is the proxies' own", aws({}), grant({ awsRoles: [role] }), false],
      ["a client", azure({ clientId: client }), grant({ azureClients: [client] }), true],
      ["a client in the wrong list", azure({ clientId: client }), grant({ awsRoles: ["*"] }), false],
      ["Own for Azure", azure({}), grant({ azureClients: ["Own"] }), true],
      ["a service account's list for Azure", azure({}), grant({ googleServiceAccounts: ["*", account] }), false],
    ];
  for (const [what, spec, cloudIdentities, may] of rows)
    it(`${may ? "permits" : "forbids"}: ${what}`, () => {
      const { live, problems } = run(spec, cloudIdentities === undefined ? {} : { cloudIdentities });
      assert.equal(live, may ? "current" : "none", problems.join("\n"));
      if (!may) assert.match(problems[0] ?? "", /^CloudIdentityNotPermitted: .*operator\.cloudIdentities/);
    });

  it("takes an identity back from what is served", () => {
    const spec = { credentials: { workloadIdentity: { aws: { roleArn: role } } } };
    const before = run(spec, { cloudIdentities: grant({ awsRoles: [role] }) });
    assert.equal(before.live, "current");
    const withdrawn = run(spec, { cloudIdentities: [] }, before.config);
    assert.deepEqual([withdrawn.live, withdrawn.config.providers], ["none", []]);
  });
});

describe("the status of a provider without its identity", () => {
  const report = (identity?: string) =>
    new Map([
      [
        "a/p",
        { healthy: null, reason: null, open: [], causes: new Map(), refused: [], ...(identity ? { identity } : {}) },
      ],
    ]);
  it("has the cloud's own reason, though no call has shown more", () => {
    const said = "STS answered 403 AccessDenied";
    const condition = healthCondition("a/p", [report(said), report(said), report()]);
    assert.deepEqual([condition.status, condition.reason], ["False", "CredentialRefused"]);
    assert.match(condition.message, /no cloud identity: STS answered 403 AccessDenied on 2$/);
  });
  it("says nothing of it otherwise", () => {
    assert.equal(healthCondition("a/p", [report()]).reason, "NotYetKnown");
  });
});
