/** Cloud identities, used instead of a credential in a Secret. */
import { z } from "zod";
import { worded } from "./worded.ts";

const aws = z
  .strictObject({
    roleArn: worded(
      z.string().max(2048),
      /^arn:aws[a-z-]*:iam::[0-9]{12}:role\/[A-Za-z0-9+=,.@_/-]{1,512}$/,
      "must be the ARN of a role, such as arn:aws:iam::111122223333:role/llm",
      [
        [/^[A-Za-z0-9+=,.@_-]+$/, "must be the role's whole ARN, such as arn:aws:iam::111122223333:role/llm"],
        [/:(user|policy|group)\//, "must be the ARN of a role, such as arn:aws:iam::111122223333:role/llm"],
      ],
    )
      .optional()
      .describe("Role to assume with the proxies' own role. Default: the proxies' own."),
    externalId: worded(
      z.string().max(256),
      /^[A-Za-z0-9+=,.@:/_-]{2,256}$/,
      "must be 2 to 256 letters, digits and +=,.@:/_-, as the role's trust policy has it",
    )
      .optional()
      .describe("External id that the role's trust policy asks for."),
    sessionTags: z
      .boolean()
      .default(false)
      .describe(
        "Tags the session with the namespace and name of this object. The role's trust policy must allow sts:TagSession.",
      ),
  })
  .meta({
    cel: [
      {
        rule: "has(self.roleArn) || !has(self.externalId) && !(has(self.sessionTags) && self.sessionTags)",
        message: "externalId and sessionTags need roleArn",
      },
    ],
  })
  .describe("A role in AWS: IRSA or EKS Pod Identity of the proxies' ServiceAccount, or another role assumed with it.");

const guid = (example: string) =>
  worded(
    z.string().max(80),
    /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/,
    `must be ${example}, such as 11111111-2222-3333-4444-555555555555`,
  );

const azure = z
  .strictObject({
    clientId: guid("the client id of a managed identity or application")
      .optional()
      .describe("Client id of the managed identity or application. Default: the one in the proxies' environment."),
    tenantId: guid("the tenant's id").optional().describe("Entra tenant. Default: the one in the environment."),
  })
  .meta({ cel: [{ rule: "has(self.clientId) || !has(self.tenantId)", message: "tenantId needs clientId" }] })
  .describe("An identity in Entra: a federated token of the proxies' ServiceAccount, or the node's managed identity.");

const google = z
  .strictObject({
    serviceAccount: worded(
      z.string().max(320),
      /^[a-z0-9][a-z0-9-]{0,62}@[a-z0-9.:-]{1,200}[.]gserviceaccount[.]com$/,
      "must be the e-mail address of a service account, such as llm@my-project.iam.gserviceaccount.com",
    )
      .optional()
      .describe("Service account to impersonate with the proxies' own identity. Default: that identity."),
  })
  .describe("An identity in Google Cloud: of the proxies' ServiceAccount, or a service account impersonated with it.");

export const workloadIdentity = z
  .strictObject({ aws: aws.optional(), azure: azure.optional(), google: google.optional() })
  .meta({
    cel: [
      {
        rule: "(has(self.aws) ? 1 : 0) + (has(self.azure) ? 1 : 0) + (has(self.google) ? 1 : 0) == 1",
        message: "set exactly one of aws, azure and google; {} is the proxies' own identity",
      },
    ],
  })
  .describe(
    "Identity that the cloud gives the proxies, in place of a Secret. The installation's settings name the namespaces that may use it (docs/cloud-identity.md).",
  );
export type WorkloadIdentitySpec = z.output<typeof workloadIdentity>;
