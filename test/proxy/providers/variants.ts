/** Each API of each type of provider, with a model to ask it for: types and APIs from what the providers declare. */
import type { Capabilities } from "../../../proxy/config/capabilities.ts";
import type { Provider, ProviderAccount, ProviderModel } from "../../../proxy/providers/provider.ts";
import { providers } from "../../../proxy/providers/registry.generated.ts";
import { accountOf, modelOf } from "./drive.ts";

export interface Variant {
  title: string;
  provider: Provider;
  account: ProviderAccount;
  model: ProviderModel;
}

/** Models of an API, where the type's example isn't one of its; several families are rows of their own. */
const models: Readonly<Record<string, readonly string[]>> = {
  "AzureAIFoundry Claude": ["claude-sonnet-4-5"],
  "AzureAIFoundry OpenAI": ["gpt-4o"],
  "Bedrock Converse": ["anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"],
  "Bedrock InvokeModel": ["anthropic.claude-sonnet-4-5-20250929-v1:0"],
  "Bedrock Messages": ["anthropic.claude-sonnet-4-5-20250929-v1:0"],
  "Bedrock OpenAI": ["openai.gpt-oss-120b-1:0"],
  Cohere: ["command-a-03-2025"],
  "VertexAI Claude": ["claude-sonnet-4-5"],
  "VertexAI OpenAI": ["meta/llama-3.3-70b-instruct-maas"],
  "VertexAI Ranking": ["semantic-ranker-default-004"],
};

/** Values of `options.api` that name an API. */
function apisOf({ options }: Capabilities): (string | null)[] {
  const words = /^\^\((.+)\)\$$/.exec(options["api"]?.pattern ?? "")?.[1]?.split("|") ?? [];
  const named = words.filter((word) => word !== "Auto");
  return named.length === 0 ? [null] : named;
}

const defaultsOf = ({ options }: Capabilities): Record<string, string> =>
  Object.fromEntries(
    Object.entries(options).flatMap(([name, option]) => (option.default === undefined ? [] : [[name, option.default]])),
  );

function variantsOf(provider: Provider): Variant[] {
  const { capabilities } = provider;
  const { type, example, defaultEndpoint } = capabilities;
  return apisOf(capabilities).flatMap((api) => {
    const name = api === null ? type : `${type} ${api}`;
    const upstreams = models[name] ?? [example?.model.upstream ?? example?.model.name ?? "m"];
    return upstreams.map((upstream) => {
      const options = { ...defaultsOf(capabilities), ...example?.options, ...(api === null ? {} : { api }) };
      const endpoint =
        example?.endpoint ??
        defaultEndpoint?.replace(/\$\{(\w+)\}/g, (_, at: string) => options[at as keyof typeof options] ?? "");
      const family = upstreams.length > 1 ? `, ${upstream.split(/[.-]/)[1]}` : "";
      return {
        title: api === null ? `\`${type}\`` : `\`${type}\`, \`api: ${api}\`${family}`,
        provider,
        account: accountOf({ options, ...(endpoint === undefined ? {} : { endpoint }) }),
        model: modelOf({ upstream }),
      };
    });
  });
}

export const variants: readonly Variant[] = Object.values(providers).flatMap((provider) => variantsOf(provider));
