/** What the bench measures, each started on loopback and pinned to a core: the upstream, nginx as a proxy, and Sluice. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { compile } from "../../operator/compile/compile.ts";
import type { World, WorldObject } from "../../operator/compile/world.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { credentialName, encode, keyedDigest, sha256Hex } from "../../proxy/config/encode.ts";
import { type Child, startChild } from "../harness/child.ts";
import { untilReady } from "../harness/until-ready.ts";
import { pinned } from "./machine.ts";

export const clearKey = "slc_bench_key_000000001";

/** About 1 KB, as a short chat completion is. */
export const answer = JSON.stringify({
  id: "chatcmpl-bench",
  object: "chat.completion",
  created: 1,
  model: "gpt-4o-2024-08-06",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: "lorem ipsum dolor sit amet ".repeat(24), refusal: null },
      logprobs: null,
      finish_reason: "stop",
    },
  ],
  usage: { prompt_tokens: 20, completion_tokens: 150, total_tokens: 170 },
  system_fingerprint: "fp_bench",
});

/** The same as Anthropic says it. */
const anthropicAnswer = JSON.stringify({
  id: "msg_bench",
  type: "message",
  role: "assistant",
  model: "claude-bench",
  content: [{ type: "text", text: "lorem ipsum dolor sit amet ".repeat(24) }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 20, output_tokens: 150 },
});

const pieces = Array.from({ length: 50 }, (_, at) => `lorem ${at} `);
const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const chunk = (choices: unknown[], more: object = {}): string =>
  data({ id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1, model: "gpt-4o", choices, ...more });
const event = (type: string, more: object): string => `event: ${type}\n${data({ type, ...more })}`;

/** 50 chunks in one go. */
const openaiStream = [
  ...pieces.map((content) => chunk([{ index: 0, delta: { content }, finish_reason: null }])),
  chunk([{ index: 0, delta: {}, finish_reason: "stop" }]),
  chunk([], { usage: { prompt_tokens: 20, completion_tokens: 50, total_tokens: 70 } }),
  "data: [DONE]\n\n",
].join("");
const anthropicStream = [
  event("message_start", {
    message: {
      id: "m",
      type: "message",
      role: "assistant",
      model: "c",
      content: [],
      stop_reason: null,
      usage: { input_tokens: 20, output_tokens: 1 },
    },
  }),
  event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
  ...pieces.map((text) => event("content_block_delta", { index: 0, delta: { type: "text_delta", text } })),
  event("content_block_stop", { index: 0 }),
  event("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 50 } }),
  event("message_stop", {}),
].join("");

/** nginx takes at most 4,096 characters in one parameter. */
function returned(text: string): string {
  const parts = text.match(/[\s\S]{1,3500}/g) ?? [];
  return `${parts.map((part, index) => `set $p${index} '${part}';`).join(" ")} return 200 '${parts.map((_, index) => `$p${index}`).join("")}';`;
}

function nginxConfig(dir: string, server: string): string {
  return `daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/error.log;
events { worker_connections 4096; }
http { access_log ${dir}/access.log; client_max_body_size 16m; client_body_buffer_size 2m; client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy; fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
keepalive_requests 10000000; ${server} }`;
}

async function startNginx(
  nginx: string,
  dir: string,
  name: string,
  core: string,
  port: number,
  server: string,
): Promise<Child> {
  const own = join(dir, name);
  await mkdir(own, { recursive: true });
  await writeFile(join(own, "nginx.conf"), nginxConfig(own, server));
  const [command, args] = pinned(core, nginx, ["-p", own, "-c", join(own, "nginx.conf")]);
  const child = await startChild(command, args, { name, logFile: join(own, "log") });
  await untilReady(child, async () => (await fetch(`http://127.0.0.1:${port}/`)).status > 0, 60_000);
  return child;
}

/** 1,000 vectors of 8 numbers in base64, as the SDKs ask for them. */
const embeddings = JSON.stringify({
  object: "list",
  data: Array.from({ length: 1000 }, (_, index) => ({
    object: "embedding",
    index,
    embedding: Buffer.alloc(32, index).toString("base64"),
  })),
  model: "embed",
  usage: { prompt_tokens: 5000, total_tokens: 5000 },
});

export function startUpstream(nginx: string, dir: string, core: string, port: number): Promise<Child> {
  const sse = "default_type text/event-stream;";
  const server = `access_log off; server { listen 127.0.0.1:${port} backlog=1024; default_type application/json;
location / { return 200 '${answer}'; }
location /embed/ { ${returned(embeddings)} }
location /claude/ { return 200 '${anthropicAnswer}'; }
location /stream/ { ${sse} ${returned(openaiStream)} }
location /claude-stream/ { ${sse} ${returned(anthropicStream)} } }`;
  return startNginx(nginx, dir, "upstream", core, port, server);
}

export function startNginxProxy(
  nginx: string,
  dir: string,
  core: string,
  port: number,
  upstreamPort: number,
  pacedPort: number,
): Promise<Child> {
  const pool = (name: string, to: number) =>
    `upstream ${name} { server 127.0.0.1:${to}; keepalive 512; keepalive_requests 10000000; }`;
  const pass = (name: string) => `proxy_pass http://${name}; proxy_http_version 1.1; proxy_set_header Connection "";`;
  const server = `${pool("up", upstreamPort)} ${pool("paced", pacedPort)}
server { listen 127.0.0.1:${port} backlog=1024; location / { ${pass("up")} } location /paced/ { ${pass("paced")} proxy_buffering off; } }`;
  return startNginx(nginx, dir, "nginx-proxy", core, port, server);
}

const pepper = Buffer.alloc(32, 9);

const meta = (name: string) => ({ name, namespace: "bench", uid: name, generation: 1, createdAtMs: 1, labels: {} });
export const benchObject = (kind: WorldObject["kind"], name: string, spec: unknown): WorldObject => ({
  kind,
  meta: meta(name),
  spec,
  status: {},
});

/** A rendered config as an operator publishes it. `secrets`: name → clear value under `apiKey`. */
export async function writeConfig(
  folder: string,
  objects: WorldObject[],
  secrets: Readonly<Record<string, string>>,
): Promise<void> {
  const facts = Object.entries(secrets).map(([name, clear]) => [
    `bench/${name}`,
    { apiKey: { digest: keyedDigest(pepper, clear), displayPrefix: "" } },
  ]);
  const { config } = compile(
    {
      world: { objects, namespaces: { bench: {} }, secrets: Object.fromEntries(facts) as World["secrets"] },
      settings: { proxy: { maxBodyBytes: 10_485_760 }, sharingNamespaces: [] },
      previous: null,
      nowMs: 1,
    },
    capabilitiesByType,
  );
  await mkdir(folder, { recursive: true });
  const credentials = Object.values(secrets).map(
    (clear) => [credentialName(keyedDigest(pepper, clear)), clear] as const,
  );
  const published = encode(config, sha256Hex(pepper));
  const named = credentials.filter(([name]) => published.manifest.credentials.includes(name));
  const files = { ...published.documents, pepper, ...Object.fromEntries(named) };
  await Promise.all(Object.entries(files).map(([name, content]) => writeFile(join(folder, name), content)));
}

/** Models by the name under which the bench asks for them. */
const others = [
  { name: "claude", type: "Anthropic", path: "/claude" },
  { name: "stream", type: "OpenAI", path: "/stream/v1" },
  { name: "masked-stream", type: "OpenAI", path: "/stream/v1" },
  { name: "claude-stream", type: "Anthropic", path: "/claude-stream" },
  { name: "embed", type: "OpenAI", path: "/embed" },
  { name: "paced", type: "OpenAI", path: "paced" },
];

/** The key that is over its limit from the second request on. */
export const limitedKey = "slc_bench_key_limited";
const price = { inputPerMillion: "2.50", outputPerMillion: "10.00" };
/** So high that no run reaches them: what is measured is their being kept. */
const limits = [
  { per: "ApiKey", requests: 1_000_000_000, window: "1m" },
  { per: "User", tokens: 1_000_000_000_000, window: "1h" },
];

const masking = { guard: { mask: { mode: "Placeholder", answers: true } } };

/** What every row has on: 1,000 keys, limits on each policy, two budgets. */
async function writeBenchConfig(folder: string, upstreamPort: number, pacedPort: number): Promise<void> {
  const keys = Array.from({ length: 1000 }, (_, at) => ({
    name: `key-${at}`,
    clear: at === 0 ? clearKey : `slc_bench_other_${at}`,
  }));
  const endpoint = (path: string) =>
    path === "paced" ? `http://127.0.0.1:${pacedPort}/v1` : `http://127.0.0.1:${upstreamPort}${path}`;
  const target = (name: string) => ({ routing: { targets: [{ provider: { name } }] }, limits });
  const objects = [
    benchObject("LLMProvider", "up", {
      type: "OpenAI",
      endpoint: `http://127.0.0.1:${upstreamPort}/v1`,
      allowPrivateEndpoint: true,
      credentials: { secretRef: { name: "up" } },
      models: [
        { name: "gpt-4o", upstream: "gpt-4o-2024-08-06", price },
        { name: "cached", upstream: "gpt-4o", price },
        { name: "masked", upstream: "gpt-4o", price },
      ],
    }),
    ...others.flatMap(({ name, type, path }) => [
      benchObject("LLMProvider", name, {
        type,
        endpoint: endpoint(path),
        allowPrivateEndpoint: true,
        credentials: { secretRef: { name: "up" } },
        models: [{ name, price }],
      }),
      benchObject("RoutingPolicy", name, {
        match: { models: [name] },
        ...target(name),
        ...(name === "masked-stream" ? masking : {}),
      }),
    ]),
    benchObject("RoutingPolicy", "chat", { match: { models: ["gpt-4o"] }, ...target("up") }),
    benchObject("RoutingPolicy", "cached", { match: { models: ["cached"] }, ...target("up"), cache: { ttl: "1h" } }),
    benchObject("RoutingPolicy", "masked", { match: { models: ["masked"] }, ...target("up"), ...masking }),
    benchObject("Budget", "month", { amount: "8000000", period: "Monthly" }),
    benchObject("Budget", "each", { amount: "8000000", period: "Daily", per: "User" }),
    benchObject("ApiKey", "limited", {
      user: "limited",
      writeTo: { name: "limited" },
      limits: [{ requests: 1, window: "31d" }],
    }),
    ...keys.map(({ name }) => benchObject("ApiKey", name, { user: name, writeTo: { name } })),
  ];
  await writeConfig(folder, objects, {
    up: "sk-bench",
    limited: limitedKey,
    ...Object.fromEntries(keys.map(({ name, clear }) => [name, clear])),
  });
}

export async function startSluice(
  dir: string,
  core: string,
  port: number,
  statusPort: number,
  upstreamPort: number,
  pacedPort: number,
  nodeArgs: readonly string[] = [],
): Promise<Child> {
  const folder = join(dir, "config");
  await writeBenchConfig(folder, upstreamPort, pacedPort);
  return startProxy(dir, core, folder, port, statusPort, nodeArgs);
}

/** `sluice proxy` on a folder that holds a rendered config. */
export async function startProxy(
  dir: string,
  core: string,
  folder: string,
  port: number,
  statusPort: number,
  nodeArgs: readonly string[] = [],
  more: readonly string[] = [],
): Promise<Child> {
  const flags = [
    "--config-dir",
    folder,
    "--host",
    "127.0.0.1",
    "--status-host",
    "127.0.0.1",
    "--port",
    String(port),
    "--status-port",
    String(statusPort),
    ...more,
  ];
  const [command, args] = pinned(core, process.execPath, [...nodeArgs, "cli/main.ts", "proxy", ...flags]);
  const child = await startChild(command, args, { name: "sluice", logFile: join(dir, "sluice.log") });
  await untilReady(child, async () => (await fetch(`http://127.0.0.1:${statusPort}/readyz`)).ok, 90_000);
  return child;
}
