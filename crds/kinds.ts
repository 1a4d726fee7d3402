/** The four kinds: names, schemas and printer columns, the single source of CRDs, types, lint and reference. */
import type { z } from "zod";
import { apiKeySpec, apiKeyStatus } from "./types/api-key.ts";
import { budgetSpec } from "./types/budget.ts";
import { budgetStatus } from "./types/budget-status.ts";
import { llmProviderSpec, llmProviderStatus } from "./types/llm-provider.ts";
import { routingPolicySpec, routingPolicyStatus } from "./types/routing-policy.ts";

export const group = "sluice.dev";
export const version = "v1alpha1";
export const apiVersion = `${group}/${version}`;

export interface PrinterColumn {
  name: string;
  type: "string" | "integer" | "date" | "boolean";
  jsonPath: string;
  description: string;
  /** 0 is shown always, 1 only with `-o wide`. */
  priority?: 0 | 1;
}

export interface KindDefinition {
  kind: Kind;
  plural: string;
  singular: string;
  shortNames: string[];
  description: string;
  spec: z.ZodType;
  status: z.ZodType;
  columns: PrinterColumn[];
}

export const kindNames = ["LLMProvider", "RoutingPolicy", "Budget", "ApiKey"] as const;
export type Kind = (typeof kindNames)[number];

const conditionColumn = (type: string): PrinterColumn => ({
  name: type,
  type: "string",
  jsonPath: `.status.conditions[?(@.type=="${type}")].status`,
  description: `Whether the object is ${type}.`,
});
const ready: PrinterColumn = { ...conditionColumn("Ready"), priority: 1 };
const warning: PrinterColumn = {
  name: "Warning",
  type: "string",
  jsonPath: `.status.conditions[?(@.type=="Warning")].reason`,
  description: "Reason of the first warning. The condition Warning has them all.",
  priority: 1,
};
const why: PrinterColumn = {
  name: "Why",
  type: "string",
  jsonPath: ".status.why",
  description: "What is wrong.",
  priority: 1,
};
const alert: PrinterColumn = {
  name: "Alert",
  type: "string",
  jsonPath: `.status.alerts[?(@.state=="Active")].event`,
  description: "Active alerts.",
  priority: 1,
};
const age: PrinterColumn = {
  name: "Age",
  type: "date",
  jsonPath: ".metadata.creationTimestamp",
  description: "Time since creation.",
};

export const kinds: Record<Kind, KindDefinition> = {
  LLMProvider: {
    kind: "LLMProvider",
    plural: "llmproviders",
    singular: "llmprovider",
    shortNames: ["llmp"],
    description: "An account at a provider of language models: its endpoint, its credentials, and its models.",
    spec: llmProviderSpec,
    status: llmProviderStatus,
    columns: [
      { name: "Type", type: "string", jsonPath: ".spec.type", description: "Protocol." },
      { name: "Models", type: "integer", jsonPath: ".status.models", description: "Number of models." },
      conditionColumn("Accepted"),
      conditionColumn("Programmed"),
      ready,
      conditionColumn("Healthy"),
      warning,
      alert,
      { name: "Endpoint", type: "string", jsonPath: ".status.endpoint", description: "Base URL in use.", priority: 1 },
      why,
      age,
    ],
  },
  RoutingPolicy: {
    kind: "RoutingPolicy",
    plural: "routingpolicies",
    singular: "routingpolicy",
    shortNames: ["rp"],
    description: "Which models are served to which callers, how requests are shaped, and which providers answer.",
    spec: routingPolicySpec,
    status: routingPolicyStatus,
    columns: [
      { name: "Path", type: "string", jsonPath: ".spec.match.pathPrefix", description: "Path prefix, if not /v1." },
      { name: "Models", type: "string", jsonPath: ".spec.match.models", description: "Model names served." },
      { name: "Strategy", type: "string", jsonPath: ".spec.routing.strategy", description: "How a target is chosen." },
      conditionColumn("Accepted"),
      conditionColumn("Programmed"),
      ready,
      warning,
      alert,
      {
        name: "Canary",
        type: "string",
        jsonPath: ".status.canary.phase",
        description: "Phase of the canary.",
        priority: 1,
      },
      why,
      age,
    ],
  },
  Budget: {
    kind: "Budget",
    plural: "budgets",
    singular: "budget",
    shortNames: ["bud"],
    description: "How much may be spent or used, by whom, in which period.",
    spec: budgetSpec,
    status: budgetStatus,
    columns: [
      { name: "Amount", type: "string", jsonPath: ".spec.amount", description: "USD per period." },
      { name: "Period", type: "string", jsonPath: ".spec.period", description: "Period." },
      { name: "Per", type: "string", jsonPath: ".spec.per", description: "One budget per subject of this type." },
      { name: "Enforcement", type: "string", jsonPath: ".spec.enforcement", description: "Hard, Soft or Shadow." },
      { name: "Spent", type: "string", jsonPath: ".status.spent", description: "USD in this period." },
      { name: "Remaining", type: "string", jsonPath: ".status.remaining", description: "USD left in this period." },
      { name: "Resets", type: "string", jsonPath: ".status.resetsAt", description: "When the next period begins." },
      conditionColumn("Exceeded"),
      { name: "Limits", type: "string", jsonPath: ".spec.limits", description: "Rate limits.", priority: 1 },
      conditionColumn("Accepted"),
      conditionColumn("Programmed"),
      ready,
      warning,
      why,
      age,
    ],
  },
  ApiKey: {
    kind: "ApiKey",
    plural: "apikeys",
    singular: "apikey",
    shortNames: ["ak"],
    description: "One caller's key, and who the caller is. The clear key is only in the Secret that writeTo names.",
    spec: apiKeySpec,
    status: apiKeyStatus,
    columns: [
      { name: "User", type: "string", jsonPath: ".spec.user", description: "Who calls." },
      { name: "Team", type: "string", jsonPath: ".spec.team", description: "The caller's team." },
      { name: "Role", type: "string", jsonPath: ".spec.role", description: "The caller's role." },
      { name: "Prefix", type: "string", jsonPath: ".status.keyPrefix", description: "The key's first characters." },
      { name: "Expires", type: "string", jsonPath: ".status.expiresAt", description: "When the key expires." },
      { name: "Revoked", type: "boolean", jsonPath: ".spec.revoked", description: "Whether the key is refused." },
      conditionColumn("Accepted"),
      conditionColumn("Programmed"),
      ready,
      warning,
      why,
      age,
    ],
  },
};
