/** The answer for an unknown path. The usual cause is a wrong base URL. The path is not repeated. */

/** Paths that SDKs append to their base URL. */
const operations: readonly string[] = [
  "chat/completions",
  "completions",
  "embeddings",
  "responses",
  "responses/input_tokens",
  "responses/compact",
  "messages",
  "messages/count_tokens",
  "models",
];

const listed = `${operations.slice(0, -1).join(", ")} and ${operations.at(-1)}; files, batches and fine_tuning/jobs where a policy has them`;

export function unknownUrlHint(path: string): string {
  if (path.startsWith("/v1/v1/"))
    return "The path begins with /v1 twice. Take it off the base URL: this SDK adds it by itself.";
  if (path.startsWith("/v1/")) return `The gateway has no such operation. It has, under /v1: ${listed}.`;
  if (operations.includes(path.slice(1))) return "The base URL lacks its /v1: no policy serves this path without it.";
  return "Nothing is served at this path. Check the base URL: it ends in /v1, or in a policy's path prefix.";
}

/** The path for each body, by its required member. */
const takers: Readonly<Record<string, string>> = {
  messages: "/chat/completions and /messages",
  prompt: "/completions",
  input: "/responses and /embeddings",
};

/** For a body without its path's required member: it may be meant for another path. */
export function missingMemberHint(needed: string, body: Readonly<Record<string, unknown>>): string {
  const other = Object.keys(takers).find((name) => name !== needed && (body[name] ?? null) !== null);
  if (other === undefined) return `The request has no \`${needed}\`. Add it.`;
  return `The request has no \`${needed}\`, but \`${other}\`, which is for ${takers[other]}. Check the path, and whether the base URL ends in /v1.`;
}
