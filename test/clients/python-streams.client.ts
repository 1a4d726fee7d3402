/**
 * Streams that break, read by the official SDKs for Python with their defaults: passed through and translated. A caller
 * never gets less than one who calls the provider directly, and an SDK reports the end of whole streams only, or of those
 * that it takes for whole when it reads them directly.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { brokenStreams, whole } from "../harness/broken-streams.ts";
import { run } from "../harness/command.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import { ensurePythonEnv } from "../harness/tools.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const clear = "slc_python_streams_key_0001";
const dialects = ["chat", "messages"] as const;
const sdks = ["openai", "anthropic"] as const;
const nativeOf = { chat: "openai", messages: "anthropic" } as const;
const points = [-1, 0, 1, 2, 3, 4, 5, 6, 7, 99];
const breaks = [1, 99];

const modelOf = (dialect: string, point: number, times: number, sdk: string): string =>
  `${dialect}_${point}_${times}_${sdk}`;
const cases = dialects.flatMap((dialect) =>
  sdks.flatMap((sdk) => points.flatMap((point) => breaks.map((times) => ({ dialect, sdk, point, times })))),
);
type Case = (typeof cases)[number];
const nameOf = ({ dialect, point, times, sdk }: Case): string => modelOf(dialect, point, times, sdk);
const nativeCases = cases.filter(({ dialect, sdk }) => sdk === nativeOf[dialect]);

interface Read {
  text: string;
  ended: boolean;
}
type Reads = Record<string, Read>;

async function readAll(base: string, apiKey: string, models: readonly string[]): Promise<Reads> {
  const python = await ensurePythonEnv(join(import.meta.dirname, "../tools/requirements.txt"));
  const script = join(import.meta.dirname, "streams.py");
  const done = await run(python, [script, base, apiKey, JSON.stringify(models)], { timeout: 300_000 });
  assert.equal(done.code, 0, done.stderr);
  return JSON.parse(done.stdout) as Reads;
}

describe("a stream that breaks, read by the SDKs for Python", () => {
  let direct: Upstream;
  let behind: Upstream;
  let gateway: TestGateway;
  let directly: Reads;
  let through: Reads;
  before(async () => {
    direct = await startUpstream(brokenStreams());
    behind = await startUpstream(brokenStreams());
    const of = (dialect: string) =>
      cases.filter((one) => one.dialect === dialect).map((one) => ({ name: nameOf(one) }));
    const plain = { retry: undefined };
    gateway = await startGateway([
      provider("openai", behind.url, { ...plain, models: of("chat") }),
      provider("claude", behind.url, { ...plain, type: "Anthropic", endpoint: behind.url, models: of("messages") }),
      secret("openai-credentials", { apiKey: "sk-up" }),
      secret("claude-credentials", { apiKey: "sk-up" }),
      ...dialects.map((dialect) =>
        policy(dialect, {
          match: { models: of(dialect).map(({ name }) => name) },
          routing: { targets: [{ provider: { name: dialect === "chat" ? "openai" : "claude" } }] },
        }),
      ),
      ...key("alice", clear),
    ]);
    directly = await readAll(direct.url, "sk-up", nativeCases.map(nameOf));
    through = await readAll(gateway.url, clear, cases.map(nameOf));
  });
  after(async () => {
    await gateway.close();
    await direct.close();
    await behind.close();
  });

  for (const one of cases)
    it(`${one.sdk === nativeOf[one.dialect] ? "passed through" : "translated"}: ${nameOf(one)}`, () => {
      const native = directly[nameOf({ ...one, sdk: nativeOf[one.dialect] })] as Read;
      const read = through[nameOf(one)] as Read;
      assert.ok(read.text.startsWith(native.text), `${JSON.stringify(native)} became ${JSON.stringify(read)}`);
      if (native.ended && native.text === whole) assert.deepEqual(read, native);
      assert.ok(!read.ended || read.text === whole, `a part passed for the whole: ${JSON.stringify(read)}`);
    });
});
