/**
 * Betas of Anthropic's API on other clouds, each of which refuses names that it doesn't know:
 * https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html,
 * https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai.
 */

interface Beta {
  /** Pattern for the models that take it. Absent: all of Claude's. */
  models?: RegExp;
  /** The cloud's own name for it. */
  name?: string;
}

export type Betas = Readonly<Record<string, Beta>>;

/** Other models of these clouds refuse it (https://platform.claude.com/docs/en/build-with-claude/extended-thinking). */
const interleaved = { models: /claude-(opus|sonnet)-4(-|@|$)/ };

const everywhere: Betas = {
  "context-1m-2025-08-07": {},
  "interleaved-thinking-2025-05-14": interleaved,
};

/** They need nothing in the body that translation leaves out. */
export const converseBetas: Betas = {
  ...everywhere,
  "effort-2025-11-24": { models: /claude-opus-4-5/ },
  "fine-grained-tool-streaming-2025-05-14": {},
  "output-128k-2025-02-19": { models: /claude-3-7/ },
  "token-efficient-tools-2025-02-19": { models: /claude-3-7/ },
};

/** With members of the body that only these two pass on. */
const ofTools: Betas = {
  "advanced-tool-use-2025-11-20": { name: "tool-search-tool-2025-10-19" },
  "compact-2026-01-12": {},
  "computer-use-2025-01-24": {},
  "computer-use-2025-11-24": {},
  "context-management-2025-06-27": {},
  "tool-search-tool-2025-10-19": {},
};

export const bedrockBetas: Betas = { ...converseBetas, ...ofTools };
export const vertexBetas: Betas = { ...everywhere, ...ofTools, "web-search-2025-03-05": {} };

export const betaNames = (list: string | undefined): string[] =>
  (list ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");

/** Those of a header's betas that the cloud's model takes, under the cloud's names. */
export function betasFor(header: string | undefined, known: Betas, upstream: string): string[] {
  const own = betaNames(header).flatMap((name) => {
    const beta = Object.hasOwn(known, name) ? known[name] : undefined;
    return beta === undefined || beta.models?.test(upstream) === false ? [] : [beta.name ?? name];
  });
  return [...new Set(own)];
}

/** A caller's headers with the betas that the cloud's model takes. */
export function withBetas(
  headers: Readonly<Record<string, string>>,
  known: Betas,
  upstream: string,
): Record<string, string> {
  const { "anthropic-beta": given, ...rest } = headers;
  const own = betasFor(given, known, upstream);
  return own.length === 0 ? rest : { ...rest, "anthropic-beta": own.join(",") };
}
