/** The phases of docs/adoption.md: each builds on the one before, does what the page says, and can be undone. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { eventually, type Manifest, secret, startGateway } from "../harness/gateway.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const root = join(import.meta.dirname, "../../examples/phases");
const phases = readdirSync(root).sort();

const manifestsOf = (phase: string): Manifest[] =>
  readdirSync(join(root, phase)).flatMap((file) =>
    parseAllDocuments(readFileSync(join(root, phase, file), "utf8")).map((document) => {
      const { apiVersion: _, ...manifest } = document.toJS() as Manifest;
      return manifest;
    }),
  );

const idOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.name}`;

/** What `later` lacks of `earlier`, by path. */
function missing(earlier: unknown, later: unknown, path: string): string[] {
  if (typeof earlier !== "object" || earlier === null) return earlier === later ? [] : [path];
  if (typeof later !== "object" || later === null) return [path];
  return Object.entries(earlier).flatMap(([name, value]) =>
    missing(value, (later as Record<string, unknown>)[name], `${path}.${name}`),
  );
}

describe("the phases of adoption", () => {
  for (const [index, phase] of phases.entries())
    it(`${phase} has everything of the phase before`, () => {
      const before = phases[index - 1];
      if (before === undefined) return;
      const later = new Map(manifestsOf(phase).map((manifest) => [idOf(manifest), manifest]));
      const lacking = manifestsOf(before).flatMap((manifest) =>
        missing(manifest["spec"], later.get(idOf(manifest))?.["spec"], idOf(manifest)),
      );
      // Phase 1 passes failures on.
      assert.deepEqual(
        lacking.filter((path) => !path.startsWith("RoutingPolicy chat.routing.fallbackOn")),
        [],
      );
    });
});

const keyOf: Readonly<Record<string, string>> = {
  "support-bot": "slc_support_bot_key_0001",
  search: "slc_search_key_000000001",
};

describe("the phases of adoption, applied one after the other and back", () => {
  let first: Upstream;
  let second: Upstream;
  let gateway: Awaited<ReturnType<typeof startGateway>>;

  /** The folder, with stand-ins for the providers and values of the Secrets. */
  const inPhase = (phase: string): Manifest[] => [
    ...manifestsOf(phase).map((manifest): Manifest => {
      if (manifest.kind !== "LLMProvider") return manifest;
      const { url } = manifest.metadata.name === "openai" ? first : second;
      const spec = {
        ...(manifest["spec"] as object),
        ...{ type: "OpenAICompatible", endpoint: `${url}/v1`, allowPrivateEndpoint: true },
      };
      return { ...manifest, spec };
    }),
    ...["openai", "mistral"].map((name): Manifest => {
      const made = secret(name, { apiKey: `sk-${name}` });
      return { ...made, metadata: { name, namespace: "llm" } };
    }),
    ...Object.entries(keyOf).map(([name, apiKey]): Manifest => {
      const made = secret(`${name}-llm-key`, { apiKey });
      return { ...made, metadata: { name: `${name}-llm-key`, namespace: "llm" } };
    }),
  ];

  before(async () => {
    first = await startUpstream();
    second = await startUpstream();
    gateway = await startGateway(inPhase(phases[0] ?? ""));
  });
  after(async () => {
    await gateway.close();
    await first.close();
    await second.close();
  });

  const call = (content: string, key = keyOf["search"] ?? ""): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-4o-mini", temperature: 0, messages: [{ role: "user", content }] }),
    });
  const statusWhileFirstFails = async (): Promise<number> => {
    first.answer((_request, response) => json(response, 500, { error: { message: "no", type: "server_error" } }));
    const { status } = await call(`while it fails ${Math.random()}`);
    first.answer(openai);
    return status;
  };
  const isCached = async (content: string): Promise<boolean> => {
    await (await call(content)).text();
    return (await call(content)).headers.get("x-sluice-cache") === "hit";
  };
  /** Whether the provider gets the address that the caller sent. */
  const passesAddress = async (): Promise<boolean> => {
    await (await call("I am ada@example.com")).text();
    return first.requests.at(-1)?.text.includes("ada@example.com") === true;
  };

  it("1: callers need a key, and each call is in the log without its text", async () => {
    assert.equal((await call("Hi", "slc_nobody")).status, 401);
    assert.equal((await call("Hi from search")).status, 200);
    const line = await eventually(() => gateway.logs.find(({ user }) => user === "search"));
    assert.deepEqual([line["team"], line["model"], line["input_tokens"]], ["search", "gpt-4o-mini", 11]);
    assert.equal(gateway.logText().includes("Hi from search"), false);
    assert.equal(await statusWhileFirstFails(), 502);
  });

  it("2: the second provider answers what the first one fails", async () => {
    await gateway.apply(inPhase("2-resilience"));
    assert.equal(await statusWhileFirstFails(), 200);
    assert.equal(second.requests.length, 1);
    assert.equal(await isCached("equal in phase 2"), false);
  });

  it("3: equal calls come from the cache, callers have limits, personal data stays, and a Budget counts", async () => {
    await gateway.apply(inPhase("3-policy"));
    assert.equal(await isCached("equal in phase 3"), true);
    assert.equal(await passesAddress(), false);
    const statuses = await Promise.all(Array.from({ length: 70 }, async (_, n) => (await call(`${n}`)).status));
    assert.ok(statuses.includes(429));
    assert.ok(statuses.includes(200));
    const { budgets } = (await (await fetch(`${gateway.statusUrl}/budgets`)).json()) as { budgets: { id: string }[] };
    assert.deepEqual(
      budgets.map(({ id }) => id),
      ["llm/team-month"],
    );
    assert.equal((await call("Hi", keyOf["support-bot"])).status, 200);
  });

  it("back to 2: no cache, no limits, no masking, and still the second provider", async () => {
    await gateway.apply(inPhase("2-resilience"));
    assert.equal(await isCached("equal in phase 3"), false);
    assert.equal(await passesAddress(), true);
    assert.equal((await call("Hi")).headers.get("x-ratelimit-limit-requests"), null);
    assert.equal(await statusWhileFirstFails(), 200);
  });

  it("back to 1: failures are passed on", async () => {
    await gateway.apply(inPhase("1-keys-and-logging"));
    assert.equal(await statusWhileFirstFails(), 502);
    assert.equal((await call("Hi")).status, 200);
  });
});
