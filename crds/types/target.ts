/** A target of a RoutingPolicy: a provider, one of its models, and settings for calls to it. */
import { z } from "zod";
import { modelName, namespaceName, objectName } from "./scalars.ts";

const callers = "Belongs to the caller: refused here.";

/** A CEL rule sees only fields that the schema declares, so the refused ones are declared too. */
export const requestParameters = z
  .looseObject({
    messages: z.array(z.looseObject({})).max(1024).meta({ listType: "atomic" }).optional().describe(callers),
    input: z.string().max(32_768).optional().describe(callers),
    prompt: z.string().max(32_768).optional().describe(callers),
    stream: z.boolean().optional().describe(callers),
  })
  .describe("Request parameters as in the body of a call, such as temperature and max_tokens.")
  .meta({
    cel: [
      {
        rule: "!has(self.messages) && !has(self.stream) && !has(self.input) && !has(self.prompt)",
        message:
          "messages, input, prompt and stream belong to the caller; set model, temperature, max_tokens and the like",
      },
    ],
  });

const providerRef = z.strictObject({
  name: objectName.describe("Name of the LLMProvider."),
  namespace: namespaceName
    .optional()
    .describe("Default: the policy's namespace. Another namespace needs the provider's allowedNamespaces."),
});

export const target = z.strictObject({
  name: objectName.optional().describe("Name that rules refer to. Default: the provider's name."),
  provider: providerRef.describe("The LLMProvider."),
  model: modelName.optional().describe("The provider's model. Default: the model that the caller asked for."),
  priority: z.int().min(1).max(1000).default(1).describe("Lower is tried first (strategy Priority)."),
  weight: z.int().min(0).max(1_000_000).default(1).describe("Share of the traffic (strategy Weighted)."),
  parameters: requestParameters
    .optional()
    .describe(
      "Parameters of calls to this target, such as temperature, max_tokens, reasoning_effort and service_tier. They replace those of the caller and of request.overrides. A member that decides what is asked or what it may cost, such as tools or n, is refused.",
    ),
});
