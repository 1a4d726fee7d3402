/** Policies that serve models by wildcards: which one serves a call, what is listed, and what roles may use. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  byPrecision,
  listsModel,
  ModelNames,
  matchesPattern,
  mayMeanTheSame,
  modelPattern,
  namesModel,
} from "../../proxy/config/model-pattern.ts";
import { key, policy, provider, secret, startGateway, type TestGateway } from "../harness/gateway.ts";
import fc from "../harness/property.ts";
import { openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_wildcard_alice_00001";
const bob = "slc_wildcard_bob_0000001";
const carol = "slc_wildcard_carol_00001";

describe("a policy with a wildcard", () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  before(async () => {
    upstream = await startUpstream(openai);
    const models = ["gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini", "o3"].map((name) => ({ name }));
    const served = (name: string, list: string[], effort: string) =>
      policy(name, {
        match: { models: list },
        request: { overrides: { reasoning_effort: effort } },
        routing: { targets: [{ provider: { name: "up" } }] },
      });
    gateway = await startGateway([
      provider("up", upstream.url, { models }),
      secret("up-credentials", { apiKey: "sk-1" }),
      served("wide", ["gpt-*"], "low"),
      served("narrow", ["gpt-4*"], "medium"),
      served("ending", ["gpt-*-mini"], "high"),
      served("named", ["gpt-5"], "xhigh"),
      ...key("alice", alice),
      ...key("bob", bob, { models: ["gpt-4o", "gpt-5"] }),
      ...key("carol", carol, { models: ["gpt-4*", "*-mini"] }),
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });
  const ask = (model: string, clear = alice): Promise<Response> =>
    fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${clear}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
    });
  const listed = async (clear: string): Promise<string[]> => {
    const answer = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${clear}` } });
    return ((await answer.json()) as { data: { id: string }[] }).data.map(({ id }) => id);
  };

  for (const [model, effort] of [
    ["gpt-5", "xhigh"],
    ["gpt-4o", "medium"],
    ["gpt-4o-mini", "medium"],
    ["gpt-5-mini", "high"],
  ] as const)
    it(`serves ${model} by the name, else by the longest prefix, else by the longest ending`, async () => {
      assert.equal((await ask(model)).status, 200);
      assert.equal(upstream.requests.at(-1)?.json["reasoning_effort"], effort);
      assert.equal(upstream.requests.at(-1)?.json["model"], model);
    });

  it("refuses a model that no provider has, and one that no policy matches", async () => {
    for (const model of ["gpt-9", "o3"]) {
      const answer = await ask(model);
      assert.equal(answer.status, 404);
      assert.equal(((await answer.json()) as { error: { code: string } }).error.code, "model_not_found");
    }
  });

  it("lists what its providers have, and to each key what it may use", async () => {
    assert.deepEqual(await listed(alice), ["gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini"]);
    assert.deepEqual(await listed(bob), ["gpt-4o", "gpt-5"]);
    assert.equal((await ask("gpt-4o-mini", bob)).status, 403);
    assert.equal((await ask("gpt-4o", bob)).status, 200);
  });

  it("lets a key with wildcards call and list what they match", async () => {
    assert.deepEqual(await listed(carol), ["gpt-4o", "gpt-4o-mini", "gpt-5-mini"]);
    for (const [model, status] of [
      ["gpt-4o", 200],
      ["gpt-5-mini", 200],
      ["gpt-5", 403],
    ] as const)
      assert.equal((await ask(model, carol)).status, status, model);
  });

  it("never puts a caller's own text into metrics", async () => {
    await ask("gpt-made-up-by-a-caller");
    assert.doesNotMatch(await gateway.metrics(), /made-up-by-a-caller/);
  });
});

describe("patterns", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "-"), maxLength: 4 });
  it("match by prefix and ending, which don't overlap, and the most precise comes first", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(letters, letters), { minLength: 1, maxLength: 6 }), letters, (parts, model) => {
        const patterns = parts.map(([prefix, suffix]) => modelPattern(`${prefix}*${suffix}`));
        for (const { prefix, suffix, text } of patterns) {
          const byRegExp = new RegExp(`^${RegExp.escape(prefix)}.*${RegExp.escape(suffix)}$`).test(model);
          assert.equal(matchesPattern(modelPattern(text), model), byRegExp, `${text} and ${model}`);
        }
        const [first, ...others] = patterns.filter((one) => matchesPattern(one, model)).sort(byPrecision);
        for (const other of others)
          assert.ok(
            first !== undefined &&
              (first.prefix.length > other.prefix.length ||
                (first.prefix.length === other.prefix.length && first.suffix.length >= other.suffix.length)),
          );
      }),
    );
  });

  /** All texts of up to this length. */
  const texts = (length: number): string[] =>
    length === 0 ? [""] : ["", ...texts(length - 1).flatMap((text) => ["a", "b"].map((letter) => letter + text))];
  const short = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 2 });
  const nameOrPattern = fc.oneof(
    short,
    fc.tuple(short, short).map(([prefix, suffix]) => `${prefix}*${suffix}`),
  );
  const all = [...new Set(texts(5))];
  const meant = (name: string): string[] => {
    const form = new RegExp(`^${name.replace("*", ".*")}$`);
    return all.filter((text) => form.test(text));
  };

  it("are no wider than another, or overlap with it, as the models that they stand for", () => {
    fc.assert(
      fc.property(nameOrPattern, nameOrPattern, (name, other) => {
        const [models, others] = [meant(name), meant(other)];
        assert.equal(
          namesModel(name, other),
          others.every((model) => models.includes(model)),
          `${name} names all of ${other}`,
        );
        assert.equal(
          mayMeanTheSame(name, other),
          others.some((model) => models.includes(model)),
          `${name} overlaps with ${other}`,
        );
      }),
    );
  });

  it("in a list allow what any entry stands for, however it is looked up", () => {
    fc.assert(
      fc.property(fc.array(nameOrPattern, { maxLength: 4 }), fc.constantFrom(...all), (list, model) => {
        const allowed = list.some((name) => meant(name).includes(model));
        assert.equal(listsModel(list, model), allowed);
        assert.equal(new ModelNames(list).has(model), allowed);
      }),
    );
  });
});
