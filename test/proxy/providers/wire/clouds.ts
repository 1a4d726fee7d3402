/** Models of several vendors at one cloud, each behind an API of its own. */
import { generateKeyPairSync, verify } from "node:crypto";
import type { UpstreamRequest } from "../../../harness/upstream.ts";
import { anthropic } from "./anthropic.ts";
import { gemini } from "./gemini.ts";
import { openai, openaiCompatible } from "./openai.ts";
import type { Json, Wire } from "./wire.ts";

const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const account = {
  type: "service_account",
  client_email: "llm@my-project.iam.gserviceaccount.com",
  private_key_id: "k1",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
  token_uri: "https://attacker.example.com/token",
};

/** Google's token service checks signature, audience and scope. */
function token({ path, text, headers }: UpstreamRequest): Json | null {
  if (path !== "/token") return null;
  const [head = "", claims = "", signature = ""] = (new URLSearchParams(text).get("assertion") ?? "").split(".");
  const said = JSON.parse(Buffer.from(claims, "base64url").toString() || "{}") as Json;
  const genuine = verify("sha256", Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(signature, "base64url"));
  return genuine && said["aud"] === `http://${headers.host}/token` && String(said["scope"]).endsWith("/cloud-platform")
    ? { access_token: "google-token", expires_in: 3599, token_type: "Bearer" }
    : {};
}

const at = (publisher: string): string => `/v1/projects/my-project/locations/global/${publisher}`;

const vertex = {
  type: "VertexAI",
  secret: { serviceAccountJson: JSON.stringify(account) },
  spec: (url: string): Json => ({
    endpoint: url,
    options: { project: "my-project", location: "global", tokenUrl: url },
  }),
  aside: token,
};
const byGoogle = ({ headers }: UpstreamRequest): boolean =>
  headers.authorization === "Bearer google-token" && !("x-api-key" in headers) && !("x-goog-api-key" in headers);

const vertexGemini: Wire = {
  ...gemini,
  ...vertex,
  variant: "Gemini",
  upstream: "gemini-2.5-flash",
  authorized: (request) =>
    byGoogle(request) && request.path.startsWith(`${at("publishers/google")}/models/gemini-2.5-flash:`),
};

const vertexClaude: Wire = {
  ...anthropic,
  ...vertex,
  variant: "Claude",
  upstream: "claude-sonnet-4-5@20250929",
  authorized: (request) =>
    byGoogle(request) &&
    request.path ===
      `${at("publishers/anthropic")}/models/claude-sonnet-4-5@20250929:${request.json["stream"] === true ? "streamRawPredict" : "rawPredict"}` &&
    request.json["anthropic_version"] === "vertex-2023-10-16" &&
    !("model" in request.json),
};

const vertexOpenAi: Wire = {
  ...openaiCompatible,
  ...vertex,
  variant: "OpenAI",
  upstream: "meta/llama-3.3-70b-instruct-maas",
  authorized: (request) =>
    byGoogle(request) &&
    request.path === `${at("endpoints/openapi")}/chat/completions` &&
    request.json["model"] === "meta/llama-3.3-70b-instruct-maas",
};

const foundry = {
  type: "AzureAIFoundry",
  secret: { apiKey: "azure-key" },
  spec: (url: string): Json => ({ endpoint: url }),
};

const foundryClaude: Wire = {
  ...anthropic,
  ...foundry,
  variant: "Claude",
  upstream: "claude-sonnet-4-5",
  authorized: ({ headers, path }) =>
    headers["api-key"] === "azure-key" &&
    headers["anthropic-version"] === "2023-06-01" &&
    path === "/anthropic/v1/messages",
};

const foundryOpenAi: Wire = {
  ...openai,
  ...foundry,
  variant: "OpenAI",
  upstream: "grok-4",
  authorized: ({ headers, path }) => headers["api-key"] === "azure-key" && path === "/openai/v1/chat/completions",
};

export const cloudWires: readonly Wire[] = [vertexGemini, vertexClaude, vertexOpenAi, foundryClaude, foundryOpenAi];
