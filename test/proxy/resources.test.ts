/** Files, batches and fine-tuning, with the official SDK and with requests that it would never send. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type IncomingHttpHeaders, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, describe, it } from "node:test";
import OpenAI, { toFile } from "openai";
import type { OnRecord, Unambiguous } from "../../proxy/pipeline/proof.ts";
import type { Admitted } from "../../proxy/pipeline/reservation.ts";
import type { ResourceTarget } from "../../proxy/pipeline/resource-target.ts";
import { passThrough, type ResourceEnvironment } from "../../proxy/pipeline/resources.ts";
import type { AuthEnvironment, ErrorReply } from "../../proxy/providers/provider.ts";
import type { Upstreams } from "../../proxy/wire/upstream.ts";
import {
  eventually,
  key,
  type Manifest,
  policy,
  provider,
  secret,
  startGateway,
  type TestGateway,
} from "../harness/gateway.ts";

const tuner = "slc_resources_tuner_1";
const developer = "slc_resources_dev_001";
const stranger = "slc_resources_other_1";

interface Seen {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  bytes: number;
  text: string;
}

describe("files, batches and fine-tuning", () => {
  let server: Server;
  let gateway: TestGateway;
  const seen: Seen[] = [];
  /** The last file's name, as the provider stores it. */
  let named = "";
  const file = (bytes: number) => ({ id: "file-1", object: "file", bytes, purpose: "batch", filename: named });
  /** Ids that the caller received. */
  const given = { file: "", batch: "", missing: "", broken: "" };

  before(async () => {
    server = createServer((incoming, response) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        const body = Buffer.concat(chunks);
        seen.push({
          method: incoming.method ?? "",
          url: incoming.url ?? "",
          headers: incoming.headers,
          bytes: body.length,
          text: body.subarray(0, 4096).toString("utf8"),
        });
        const json = (status: number, value: unknown): void => {
          response.writeHead(status, { "content-type": "application/json", "set-cookie": "a=b" });
          response.end(JSON.stringify(value));
        };
        const path = (incoming.url ?? "").split("?")[0] ?? "";
        if (path.endsWith("/content")) {
          response.writeHead(200, {
            "content-type": "application/octet-stream",
            "content-disposition": 'attachment; filename="a"',
          });
          response.end(Buffer.alloc(300_000, 7));
        } else if (path.includes("missing"))
          json(404, { error: { message: "No such File object: missing", code: null } });
        else if (path.includes("broken")) json(500, { error: { message: "oops" } });
        else if (incoming.method === "GET" && path.endsWith("/files"))
          json(200, { object: "list", data: named === "" ? [] : [file(0)], has_more: false });
        else if (path.endsWith("/files")) {
          named = /filename="([^"]*)"/.exec(body.toString("latin1"))?.[1] ?? "a.jsonl";
          json(200, file(body.length));
        } else if (path.includes("batches"))
          json(200, {
            id: "batch_1",
            object: "batch",
            status: "validating",
            output_file_id: "missing-1",
            error_file_id: "broken-1",
          });
        else json(200, { id: "ftjob-1", object: "fine_tuning.job", status: "queued" });
      });
    });
    server.keepAliveTimeout = 75_000;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const elsewhere: Manifest[] = key("other", stranger, { role: "admin" }).map((one) => ({
      ...one,
      metadata: { ...one.metadata, namespace: "elsewhere" },
    }));
    gateway = await startGateway([
      provider("up", url, {}),
      secret("up-credentials", { apiKey: "sk-upstream" }),
      policy("all", {
        match: { models: ["gpt-4o"] },
        routing: { targets: [{ provider: { name: "up" } }] },
        resources: { provider: { name: "up" } },
      }),
      ...key("tuner", tuner, { role: "data-scientist" }),
      ...key("dev", developer),
      ...elsewhere,
    ]);
  });
  after(async () => {
    await gateway.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => {
    seen.length = 0;
  });

  const send = (method: string, path: string, clear = tuner, init: RequestInit = {}): Promise<Response> =>
    fetch(`${gateway.url}${path}`, { method, ...init, headers: { authorization: `Bearer ${clear}`, ...init.headers } });
  const codeOf = async (response: Response): Promise<string> =>
    ((await response.json()) as { error: { code: string } }).error.code;

  it("the official SDK uploads, lists, reads, batches and tunes", async () => {
    const client = new OpenAI({ apiKey: tuner, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    const content = Buffer.alloc(2_000_000, "x");
    const file = await client.files.create({ file: await toFile(content, "a.jsonl"), purpose: "batch" });
    assert.match(file.id, /^file-1_s1/);
    assert.equal(file.filename, "a.jsonl");
    given.file = file.id;
    assert.ok((seen.at(-1)?.bytes ?? 0) > 2_000_000);
    assert.match(seen.at(-1)?.headers["content-type"] ?? "", /^multipart\/form-data; boundary=/);
    assert.equal(seen.at(-1)?.headers.authorization, "Bearer sk-upstream");
    const listed = [];
    for await (const one of await client.files.list({ limit: 2 })) listed.push(one.id);
    assert.deepEqual(listed, [file.id]);
    assert.equal(seen.at(-1)?.url, "/v1/files?limit=2");
    const read = await client.files.content(file.id);
    assert.equal((await read.arrayBuffer()).byteLength, 300_000);
    const batch = await client.batches.create({
      input_file_id: file.id,
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
    });
    assert.match(batch.id, /^batch_1_s1/);
    given.batch = batch.id;
    given.missing = batch.output_file_id ?? "";
    given.broken = batch.error_file_id ?? "";
    const job = await client.fineTuning.jobs.create({ training_file: file.id, model: "gpt-4o-mini" });
    assert.match(job.id, /^ftjob-1_s1/);
    assert.match(seen.at(-1)?.text ?? "", /gpt-4o-mini/);
  });

  it("records the call in metrics and log like any other call", async () => {
    await (await send("GET", `/v1/batches/${given.batch}`)).text();
    await eventually(() =>
      gateway.logs.some(
        (line) =>
          line["operation"] === "resource" && line["route"] === "default/all" && line["key"] === "default/tuner",
      ),
    );
    assert.match(
      await gateway.metrics(),
      /ai_gateway_requests_total\{route="default\/all",provider="default\/up",model="",operation="resource",status="200"\}/,
    );
  });

  it("forwards no cookie and no header that identifies the caller", async () => {
    const response = await send("GET", `/v1/files/${given.file}`, tuner, {
      headers: { cookie: "c=d", "openai-organization": "org", "x-forwarded-for": "1.2.3.4" },
    });
    assert.equal(response.headers.get("set-cookie"), null);
    const headers = seen.at(-1)?.headers ?? {};
    for (const name of ["cookie", "openai-organization", "x-forwarded-for"]) assert.equal(headers[name], undefined);
  });

  const refusals: [string, string, string, string, number, string][] = [
    ["a role without the permission", "GET", "/v1/files", developer, 403, "permission_denied"],
    ["a key of another namespace", "GET", "/v1/files", stranger, 404, "unknown_url"],
    ["no key", "GET", "/v1/files", "nobody", 401, "invalid_api_key"],
    ["an id that leads elsewhere", "GET", "/v1/files/..%2fbatches", tuner, 404, "unknown_url"],
    ["an id with a dot", "GET", "/v1/files/a.b", tuner, 404, "unknown_url"],
    ["a path that isn't one", "GET", "/v1/files/a/b/c", tuner, 404, "unknown_url"],
    ["a method that isn't one", "DELETE", "/v1/batches/b", tuner, 405, "method_not_allowed"],
    ["an id that nobody was given", "GET", "/v1/files/file-1", tuner, 404, "resource_not_found"],
    ["an id that the provider doesn't know", "GET", "/v1/files/{missing}", tuner, 404, "resource_not_found"],
    ["a provider that fails", "GET", "/v1/files/{broken}", tuner, 502, "upstream_error"],
  ];
  for (const [name, method, path, clear, status, code] of refusals) {
    it(`refuses ${name}`, async () => {
      const response = await send(
        method,
        path.replace("{missing}", given.missing).replace("{broken}", given.broken),
        clear,
      );
      assert.equal(response.status, status);
      assert.equal(await codeOf(response), code);
      if (status !== 502 && code !== "resource_not_found") assert.equal(seen.length, 0);
    });
  }

  it("refuses an upload with an excessive Content-Length without reading it", async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${tuner}`,
        "content-type": "application/octet-stream",
        "content-length": 600_000_000,
      };
      const call = request(`${gateway.url}/v1/files`, { method: "POST", headers }, (response) =>
        resolve(response.statusCode),
      );
      call.on("error", reject);
      call.write("x");
    });
    assert.equal(status, 413);
  });

  it("forwards only the query parameters of lists", async () => {
    await (await send("GET", "/v1/files?limit=5&after=file-0&api_key=x&purpose=batch")).text();
    assert.equal(seen.at(-1)?.url, "/v1/files?limit=5&after=file-0&purpose=batch");
  });

  it("counts against the policy's limits like any other call", async () => {
    const limits = [{ per: "ApiKey", requests: 1, window: "1h" }];
    const other = await startGateway([
      provider("up", "http://127.0.0.1:9", {}),
      secret("up-credentials", { apiKey: "k" }),
      policy("all", {
        match: { models: ["gpt-4o"] },
        routing: { targets: [{ provider: { name: "up" } }] },
        resources: { provider: { name: "up" } },
        limits,
      }),
      ...key("tuner", tuner, { role: "data-scientist" }),
    ]);
    try {
      const statuses = [];
      for (let at = 0; at < 2; at++)
        statuses.push((await fetch(`${other.url}/v1/files`, { headers: { authorization: `Bearer ${tuner}` } })).status);
      assert.deepEqual(statuses, [502, 429]);
    } finally {
      await other.close();
    }
  });

  const mistakes: [string, Manifest[], RegExp][] = [
    [
      "a provider that isn't there",
      [
        policy("one", {
          match: { models: ["a"] },
          routing: { targets: [{ provider: { name: "up" } }] },
          resources: { provider: { name: "nowhere" } },
        }),
      ],
      /ProviderNotFound: LLMProvider nowhere/,
    ],
    [
      "a type that has none",
      [
        provider("claude", "http://127.0.0.1:9", { type: "Mistral" }),
        secret("claude-credentials", { apiKey: "k" }),
        policy("one", {
          match: { models: ["a"] },
          routing: { targets: [{ provider: { name: "claude" }, model: "gpt-4o" }] },
          resources: { provider: { name: "claude" } },
        }),
      ],
      /Unsupported: type Mistral .* has no files/,
    ],
  ];
  for (const [name, manifests, expected] of mistakes) {
    it(`reports ${name}`, async () => {
      const other = await startGateway([
        provider("up", "http://127.0.0.1:9", { models: [{ name: "a" }] }),
        secret("up-credentials", { apiKey: "k" }),
        ...manifests,
      ]);
      try {
        assert.match(other.printed.join("\n"), expected);
      } finally {
        await other.close();
      }
    });
  }

  it("are served by the older of two policies for the same callers", async () => {
    const one = (name: string, model: string) =>
      policy(name, {
        match: { models: [model] },
        routing: { targets: [{ provider: { name: "up" } }] },
        resources: { provider: { name: "up" }, kinds: ["Files"] },
      });
    const other = await startGateway([
      provider("up", "http://127.0.0.1:9", { models: [{ name: "a" }, { name: "b" }] }),
      secret("up-credentials", { apiKey: "k" }),
      one("first", "a"),
      one("second", "b"),
    ]);
    try {
      assert.match(
        other.printed.join("\n"),
        /Conflicted: RoutingPolicy default\/first is older and already passes Files through/,
      );
    } finally {
      await other.close();
    }
  });
});

it("a provider's error keeps its own message, wherever its bytes were split", async () => {
  const words = "Größe: 🎉 日本";
  const bytes = Buffer.from(JSON.stringify({ error: { message: words } }));
  const decoded: unknown[] = [];
  const stub = {
    resourcePath: () => "/v1/files",
    authorize: (outgoing: unknown) => outgoing,
    decodeError: ({ body }: ErrorReply) => {
      decoded.push(body);
      return {
        class: "BadRequest",
        code: "upstream_rejected_request",
        message: "",
        param: null,
        retryAfterMs: null,
        upstreamStatus: 400,
      };
    },
  };
  const client = {
    headers: {},
    url: "/v1/files",
    started: false,
    header: () => null,
    onClose: () => undefined,
    onInterrupt: () => undefined,
  };
  const send: Upstreams["send"] = (_address, _request, handler) => {
    queueMicrotask(() => {
      handler.head(400, {});
      for (const byte of bytes) handler.data(Buffer.of(byte));
      handler.end();
    });
    return { abort: () => undefined, resume: () => undefined, sent: true };
  };
  const target = {
    entry: { provider: stub, account: { credentials: {} }, address: {} },
    route: {},
  } as unknown as ResourceTarget;
  const environment = {
    upstreams: { send },
    auth: {} as AuthEnvironment,
    forwarded: {},
    admitted: {} as Admitted,
    onRecord: {} as OnRecord,
    later: {} as ResourceEnvironment["later"],
    nowMs: () => 0,
    minUploadBytesPerSecond: 0,
    totalMs: 1_000,
  };
  const operation = { kind: "resource", resource: "Files", method: "GET", path: "/files" } as const;
  const failed = await passThrough(client as unknown as Unambiguous, operation, target, environment);
  assert.equal(failed?.code, "upstream_rejected_request");
  assert.deepEqual(decoded, [{ error: { message: words } }]);
});
