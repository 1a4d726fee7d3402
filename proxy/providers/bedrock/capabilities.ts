import type { Capabilities } from "../../config/capabilities.ts";

export const capabilities: Capabilities = {
  type: "Bedrock",
  title: "Amazon Bedrock",
  genAiName: "aws.bedrock",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the compiler fills options in
  defaultEndpoint: "https://bedrock-runtime.${region}.amazonaws.com",
  // The European Sovereign Cloud has a domain of its own:
  // https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json
  defaultEndpoints: [
    { options: { region: "eusc-de-east-1" }, endpoint: "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu" },
  ],
  example: { options: { region: "eu-central-1" }, model: { name: "nova", upstream: "eu.amazon.nova-pro-v1:0" } },
  passthrough: ["cohere.rerank"],
  translated: ["openai.chat", "openai.completions", "openai.embeddings", "openai.responses", "anthropic.messages"],
  options: {
    region: {
      required: true,
      description: "AWS region, part of the default endpoint and of the signature.",
      pattern: "^[a-z]{2,4}(-[a-z]{2,12}){1,3}-[0-9]{1,2}$",
      form: "an AWS region, such as eu-central-1",
    },
    api: {
      required: false,
      description:
        "Converse, or absent: one format for all models. Messages: Anthropic's own API, for Claude; callers of /v1/messages pass through unchanged. InvokeModel: the same format in Amazon's framing, by translation. OpenAI: the OpenAI-compatible endpoint, for models that it serves, such as openai.gpt-oss-120b-1:0.",
      pattern: "^(Converse|InvokeModel|Messages|OpenAI)$",
    },
    modelFamily: {
      required: false,
      description:
        "Claude's features (thinking, one tool call at a time, signed reasoning, marks for the prompt cache) are used only with models of the Claude family. Auto: decided by the upstream name. Claude or Other: for names that don't show the family, such as ARNs of inference profiles.",
      default: "Auto",
      pattern: "^(Auto|Claude|Other)$",
    },
    structuredOutputs: {
      required: false,
      description:
        "Auto: decided by the model's name. Native: a JSON schema is sent as outputConfig.textFormat, and strict tools as strict. Refuse: for models that support neither.",
      default: "Auto",
      pattern: "^(Auto|Native|Refuse)$",
    },
    thinking: {
      required: false,
      description:
        "How reasoning_effort is sent to Claude. Auto: decided by the model's name. Adaptive: output_config.effort with adaptive thinking (4.6 and later). Budget: thinking with a token budget, for older models.",
      default: "Auto",
      pattern: "^(Auto|Adaptive|Budget)$",
    },
    sampling: {
      required: false,
      description:
        "How temperature, top_p and top_k are handled. Auto: decided by the model's name. Pass: they are sent. Drop: they are left out, for models that refuse them (Claude Opus 4.7 and later).",
      default: "Auto",
      pattern: "^(Auto|Pass|Drop)$",
    },
  },
  credentials: [
    {
      name: "apiKey",
      required: false,
      description: "Bedrock API key, sent as a bearer token. Set either this, or accessKeyId and secretAccessKey.",
    },
    {
      name: "accessKeyId",
      required: false,
      description: "AWS access key ID, for signed requests (Signature Version 4).",
    },
    { name: "secretAccessKey", required: false, description: "AWS secret access key." },
    { name: "sessionToken", required: false, description: "Session token of temporary credentials." },
  ],
  credentialSets: [
    { credentials: ["apiKey"], options: [] },
    { credentials: ["accessKeyId", "secretAccessKey"], options: [] },
  ],
  credentialsRequired: true,
  sets: { credential: ["authorization"] },
  identity: "aws",
  discovers: true,
  parameters: {
    temperature: "native",
    top_p: "native",
    n: "refused",
    stop: "mapped",
    seed: "dropped",
    presence_penalty: "dropped",
    frequency_penalty: "dropped",
    logit_bias: "dropped",
    logprobs: "refused",
    tools: "mapped",
    tool_choice: "mapped",
    parallel_tool_calls: "mapped",
    "response_format.json_object": "mapped",
    "response_format.json_schema": "mapped",
    reasoning_effort: "mapped",
    user: "mapped",
    image_data: "mapped",
    image_url: "refused",
    input_audio: "refused",
    max_tokens: "mapped",
    metadata: "mapped",
    store: "dropped",
    service_tier: "mapped",
  },
  resources: false,
  pricesFrom: "aws",
  // ARNs of models and of system-defined profiles, and a profile's regions. Ids of application profiles don't show the
  // model: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
  priceNames: [
    "^arn:aws[^:]*:bedrock:[^:]*:[^:]*:(?:inference-profile|foundation-model)/(.+)$",
    "^(?:us|us-gov|eu|apac|jp|au|ca|global)\\.(.+)$",
  ],
  // https://aws.amazon.com/bedrock/pricing: priority costs 75 % more, flex and batches cost half.
  priceModes: { usual: { batch: 500_000, flex: 500_000, priority: 1_750_000 } },
  // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html
  bounds: {
    toolName: { characters: "A-Za-z0-9_-", longest: 64 },
    callId: { characters: "A-Za-z0-9_-", longest: 64 },
    label: { characters: "A-Za-z0-9_-", longest: 64 },
  },
  carries: { cacheMarks: true, toolMedia: true, toolErrors: true, systemAnywhere: true, documentCitations: true },
};
