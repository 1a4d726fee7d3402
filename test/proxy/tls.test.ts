/** TLS on the traffic listener: with the official SDK, client certificates and a certificate that changes. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { Agent as HttpsAgent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import OpenAI from "openai";
import { Agent, fetch as undiciFetch } from "undici";
import { parseProxySettings } from "../../proxy/settings.ts";
import { type Authority, certificateAuthority, type Pair } from "../harness/certificates.ts";
import { eventually, key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_tls_alice_000001";

describe("TLS", () => {
  let upstream: Upstream;
  let authority: Authority;
  let dir: string;
  let generation = 0;

  /** As kubelet does: a new folder, and a link that is swapped. */
  async function mount(files: Readonly<Record<string, string>>): Promise<void> {
    const folder = join(dir, `..${generation++}`);
    await mkdir(folder);
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    await symlink(folder, join(dir, "..data.next"));
    await rename(join(dir, "..data.next"), join(dir, "..data"));
    for (const name of Object.keys(files)) await symlink(join("..data", name), join(dir, name)).catch(() => undefined);
  }
  const mountPair = (pair: Pair): Promise<void> =>
    mount({ "tls.crt": pair.cert, "tls.key": pair.key, "ca.crt": authority.cert });
  const flags = (...more: string[]): string[] => [
    `--tls-cert=${join(dir, "tls.crt")}`,
    `--tls-key=${join(dir, "tls.key")}`,
    "--poll-ms=50",
    ...more,
  ];
  const gateway = async (...more: string[]): Promise<TestGateway> => {
    const started = await startGateway(
      [
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: "sk" }),
        policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        ...key("alice", alice),
      ],
      flags(...more),
    );
    after(() => started.close());
    return started;
  };
  /** The status, or why there is none. */
  const models = (
    url: string,
    tls: { cert?: string; key?: string; ca?: string } = {},
    agent?: HttpsAgent,
  ): Promise<number | string> =>
    new Promise((resolve) => {
      const call = request(
        `${url}/v1/models`,
        { headers: { authorization: `Bearer ${alice}` }, ca: authority.cert, ...tls, ...(agent ? { agent } : {}) },
        (response) => {
          response.resume();
          response.on("end", () => resolve(response.statusCode ?? 0));
        },
      );
      call.on("error", (cause: { code?: string }) => resolve(cause.code ?? "error"));
      call.end();
    });
  const serialOf = (url: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket: TLSSocket = connect(
        { host: "127.0.0.1", port: Number(new URL(url).port), ca: authority.cert },
        () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        },
      );
      socket.on("error", reject);
    });

  before(async () => {
    upstream = await startUpstream();
    authority = await certificateAuthority();
    dir = await mkdtemp(join(tmpdir(), "sluice-tls-"));
    await mountPair(await authority.issue("127.0.0.1", "localhost"));
  });
  after(async () => {
    await upstream.close();
    await rm(dir, { recursive: true, force: true });
  });

  it("serves the official SDK, plain and streamed, and refuses plain HTTP", async () => {
    const { url, close } = await gateway();
    assert.match(url, /^https:/);
    const dispatcher = new Agent({ connect: { ca: authority.cert } });
    const trusting = ((target: string, init: object) =>
      undiciFetch(target, { ...init, dispatcher } as never)) as unknown as typeof fetch;
    const client = new OpenAI({ apiKey: alice, baseURL: `${url}/v1`, fetch: trusting, maxRetries: 0 });
    const done = await client.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] });
    assert.equal(done.choices[0]?.message.content, "Hello there");
    let text = "";
    for await (const part of await client.chat.completions.create({
      model: "gpt-4o",
      messages: [{ role: "user", content: "Hi" }],
      stream: true,
    }))
      text += part.choices[0]?.delta.content ?? "";
    assert.equal(text, "Hello there");
    const plain = await fetch(url.replace("https", "http"));
    assert.equal(plain.status, 400);
    assert.match(await plain.text(), /This port speaks TLS/);
    await dispatcher.close();
    await close();
  });

  it("loads a new certificate while serving, and keeps a valid one when a bad one arrives", async () => {
    const started = await gateway();
    const first = await serialOf(started.url);
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 });
    assert.equal(await models(started.url, {}, agent), 200);
    const next = await authority.issue("127.0.0.1", "localhost");
    await mountPair(next);
    await eventually(async () => (await serialOf(started.url)) !== first);
    assert.equal(await models(started.url, {}, agent), 200, "connections that are open go on");
    const second = await serialOf(started.url);
    const other = await authority.issue("127.0.0.1");
    for (const [bad, why] of [
      [{ cert: other.cert, key: next.key }, /the key in .* does not match the certificate/],
      [{ cert: "nothing", key: next.key }, /holds no PEM certificate/],
      [
        { cert: next.cert, key: "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----" },
        /holds no PEM private key/,
      ],
    ] as const) {
      await mountPair(bad);
      await eventually(() =>
        started.logs.some(
          (line) => line["msg"] === "certificate not loaded; the old one stays in use" && why.test(String(line["err"])),
        ),
      );
      assert.equal(await serialOf(started.url), second);
    }
    const metrics = await started.metrics();
    assert.match(metrics, /sluice_tls_reload_failures_total 3/);
    const notAfter = Number(/sluice_tls_certificate_not_after_seconds (\d+)/.exec(metrics)?.[1]);
    assert.ok(notAfter > Date.now() / 1000 && notAfter < Date.now() / 1000 + 3 * 86_400);
    await mountPair(other);
    await eventually(async () => (await serialOf(started.url)) !== second);
    assert.ok(!started.logText().includes("PRIVATE KEY"));
    agent.destroy();
    await started.close();
  });

  it("requests client certificates if configured", async () => {
    const client = await authority.issue("client");
    const stranger = await (await certificateAuthority("Others")).issue("client");
    const required = await gateway(`--tls-client-ca=${join(dir, "ca.crt")}`);
    assert.equal(await models(required.url, client), 200);
    assert.notEqual(await models(required.url), 200);
    assert.notEqual(await models(required.url, stranger), 200);
    await required.close();
    const optional = await gateway(`--tls-client-ca=${join(dir, "ca.crt")}`, "--tls-client-auth=Optional");
    assert.equal(await models(optional.url, client), 200);
    assert.equal(await models(optional.url), 200);
    assert.notEqual(await models(optional.url, stranger), 200);
    await optional.close();
  });

  it("refuses versions older than TLS 1.2", async () => {
    const { url, close } = await gateway();
    const refused = await new Promise<boolean>((resolve) => {
      const socket = connect(
        {
          host: "127.0.0.1",
          port: Number(new URL(url).port),
          ca: authority.cert,
          minVersion: "TLSv1",
          maxVersion: "TLSv1.1",
          ciphers: "DEFAULT@SECLEVEL=0",
        },
        () => resolve(false),
      );
      socket.on("error", () => resolve(true));
    });
    assert.equal(refused, true);
    await close();
  });

  it("does not start with unusable files", async () => {
    await assert.rejects(gateway("--tls-client-ca=/none"), /ENOENT/);
    assert.throws(() => parseProxySettings(["--tls-cert=a"], {}), /belong together/);
    assert.throws(() => parseProxySettings(["--tls-client-ca=a"], {}), /needs --tls-cert/);
    assert.throws(
      () => parseProxySettings(["--tls-cert=a", "--tls-key=b", "--tls-client-auth=Maybe"], {}),
      /--tls-client-auth: /,
    );
  });
});
