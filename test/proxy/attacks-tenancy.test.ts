/** A tenant that tries to use another tenant's Secrets, providers, models or paths. team-a owns them; team-b attacks. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Manifest, TestGateway } from "../harness/gateway.ts";
import { startGateway } from "../harness/gateway.ts";
import { startUpstream, type Upstream } from "../harness/upstream.ts";

const keyA = "slc_team_a_key_001";
const keyB = "slc_team_b_key_001";

const object = (kind: string, namespace: string, name: string, rest: object): Manifest => ({
  kind,
  metadata: { name, namespace },
  ...rest,
});
const policy = (namespace: string, name: string, spec: object): Manifest =>
  object("RoutingPolicy", namespace, name, { spec });
const sameObject = (a: Manifest, b: Manifest): boolean =>
  a.kind === b.kind && a.metadata.name === b.metadata.name && a.metadata.namespace === b.metadata.namespace;
const to = (name: string, namespace?: string): object => ({
  targets: [{ provider: { name, ...(namespace ? { namespace } : {}) }, model: "gpt-4o" }],
});

describe("attacks on another tenant", () => {
  let theirs: Upstream;
  let mine: Upstream;
  let gateway: TestGateway;

  const provider = (namespace: string, name: string, url: string, spec: object = {}): Manifest =>
    object("LLMProvider", namespace, name, {
      spec: {
        type: "OpenAICompatible",
        endpoint: `${url}/v1`,
        allowPrivateEndpoint: true,
        credentials: { secretRef: { name: "creds" } },
        models: [{ name: "gpt-4o" }],
        ...spec,
      },
    });
  const key = (namespace: string, clear: string): Manifest[] => [
    object("ApiKey", namespace, "user", { spec: { user: `user@${namespace}`, writeTo: { name: "user-key" } } }),
    object("Secret", namespace, "user-key", { stringData: { apiKey: clear } }),
  ];
  const base = (): Manifest[] => [
    object("Namespace", "", "team-a", { metadata: { name: "team-a", labels: { team: "a" } } }),
    object("Namespace", "", "team-b", { metadata: { name: "team-b", labels: { team: "b" } } }),
    provider("team-a", "gold", theirs.url),
    object("Secret", "team-a", "creds", { stringData: { apiKey: "sk-team-a" } }),
    policy("team-a", "secret-model", { match: { models: ["secret-model"] }, routing: to("gold") }),
    policy("team-a", "shop", { match: { pathPrefix: "/shop", models: ["secret-model"] }, routing: to("gold") }),
    ...key("team-a", keyA),
    provider("team-b", "own", mine.url),
    object("Secret", "team-b", "creds", { stringData: { apiKey: "sk-team-b" } }),
    policy("team-b", "own-model", { match: { models: ["own-model"] }, routing: to("own") }),
    ...key("team-b", keyB),
  ];

  before(async () => {
    [theirs, mine] = await Promise.all([startUpstream(), startUpstream()]);
    gateway = await startGateway(base());
  });
  after(async () => {
    await gateway.close();
    await theirs.close();
    await mine.close();
  });

  const call = async (
    clear: string | null,
    model: string,
    path = "/v1/chat/completions",
    headers: Record<string, string> = {},
  ) => {
    const answer = await fetch(`${gateway.url}${path}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(clear === null ? {} : { authorization: `Bearer ${clear}` }),
        ...headers,
      },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }] }),
    });
    return `${answer.status} ${((await answer.json()) as { error?: { code: string } }).error?.code ?? "ok"}`;
  };

  /** Applied in addition to both teams' objects. team-b's object is called `stolen`. */
  const objects: [what: string, made: () => Manifest[], says: RegExp][] = [
    [
      "a Secret by namespace",
      () => [
        provider("team-b", "stolen", mine.url, { credentials: { secretRef: { name: "creds", namespace: "team-a" } } }),
      ],
      /UnknownField: .*namespace/,
    ],
    [
      "a Secret by path",
      () => [provider("team-b", "stolen", mine.url, { credentials: { secretRef: { name: "team-a/creds" } } })],
      /Invalid: .*secretRef\.name/,
    ],
    [
      "a Secret by a path that leads up",
      () => [provider("team-b", "stolen", mine.url, { credentials: { secretRef: { name: "../team-a/creds" } } })],
      /Invalid: .*secretRef\.name/,
    ],
    [
      "a Secret that only team-a has",
      () => [provider("team-b", "stolen", mine.url, { credentials: { secretRef: { name: "user-key-of-a" } } })],
      /SecretNotFound: Secret user-key-of-a is not in namespace team-b/,
    ],
    [
      "a key's Secret by namespace",
      () => [
        object("ApiKey", "team-b", "stolen", {
          spec: { user: "x", writeTo: { name: "user-key", namespace: "team-a" } },
        }),
      ],
      /UnknownField: .*namespace/,
    ],
    [
      "a key's Secret by path",
      () => [object("ApiKey", "team-b", "stolen", { spec: { user: "x", writeTo: { name: "team-a/user-key" } } })],
      /Invalid: .*writeTo\.name/,
    ],
    [
      "a provider without a grant",
      () => [policy("team-b", "stolen", { match: { models: ["stolen"] }, routing: to("gold", "team-a") })],
      /RefNotPermitted: LLMProvider team-a\/gold does not allow namespace team-b/,
    ],
    [
      "a provider by path",
      () => [policy("team-b", "stolen", { match: { models: ["stolen"] }, routing: to("team-a/gold") })],
      /Invalid: .*provider\.name/,
    ],
    [
      "a provider that is granted to others",
      () => [
        provider("team-a", "shared", theirs.url, {
          allowedNamespaces: { from: "Selector", selector: { matchLabels: { team: "c" } } },
        }),
        policy("team-b", "stolen", { match: { models: ["stolen"] }, routing: to("shared", "team-a") }),
      ],
      /RefNotPermitted: LLMProvider team-a\/shared does not allow namespace team-b/,
    ],
    [
      "a fallback to a provider without a grant",
      () => [
        policy("team-b", "stolen", {
          match: { models: ["stolen"] },
          routing: {
            targets: [
              { provider: { name: "gone" } },
              { provider: { name: "gold", namespace: "team-a" }, model: "gpt-4o" },
            ],
          },
        }),
      ],
      /RefNotPermitted/,
    ],
    [
      "the path of team-a, with the models that it serves to team-a's callers",
      () => [
        policy("team-b", "stolen", {
          match: { pathPrefix: "/shop", models: ["secret-model"] },
          allowedNamespaces: { from: "All" },
          routing: to("own"),
        }),
      ],
      /Conflicted: RoutingPolicy team-a\/shop/,
    ],
    [
      "the path of team-a, for everybody",
      () => [
        policy("team-b", "stolen", {
          match: { pathPrefix: "/shop", models: ["secret-model"] },
          access: { anonymous: true },
          routing: to("own"),
        }),
      ],
      /Conflicted: RoutingPolicy team-a\/shop/,
    ],
    [
      "team-a's models, for team-a's callers",
      () => [
        policy("team-b", "stolen", {
          match: { models: ["secret-model"] },
          allowedNamespaces: { from: "All" },
          routing: to("own"),
        }),
      ],
      /Conflicted: RoutingPolicy team-a\/secret-model/,
    ],
  ];
  for (const [what, made, says] of objects) {
    it(`${what}: refused with a message, and nothing is sent`, async () => {
      const printed = gateway.printed.length;
      const [before, beforeMine] = [theirs.requests.length, mine.requests.length];
      await gateway.apply([...base(), ...made()]);
      assert.match(gateway.printed.slice(printed).join("\n"), says);
      assert.notEqual(await call(keyB, "stolen"), "200 ok");
      assert.equal(theirs.requests.length, before);
      assert.equal(mine.requests.length, beforeMine);
      // team-a's own calls are still routed as before.
      assert.equal(await call(keyA, "secret-model"), "200 ok");
      assert.equal(await call(keyA, "secret-model", "/shop/v1/chat/completions"), "200 ok");
      assert.equal(theirs.requests.length, before + 2);
      assert.ok(!gateway.printed.join("\n").includes("sk-team-a"));
      // Restores a valid state under a new revision, so that the next case produces new messages.
      await gateway.apply([
        ...base(),
        policy("team-b", "marker", { match: { models: [`marker-${before}`] }, routing: to("own") }),
      ]);
    });
  }

  const open = { access: { anonymous: true }, routing: to("own") };
  const captures: [what: string, namespace: string, spec: object][] = [
    ["a longer prefix", "team-b", { match: { pathPrefix: "/shop/v1" }, ...open }],
    ["the operation's own path", "team-b", { match: { pathPrefix: "/shop/chat/completions" }, ...open }],
    ["a shorter prefix", "team-b", { match: { pathPrefix: "/sho" }, ...open }],
    [
      "the same prefix and just the model",
      "team-b",
      { match: { pathPrefix: "/shop", models: ["secret-model"] }, ...open },
    ],
    ["the same prefix and any model", "team-b", { match: { pathPrefix: "/shop" }, ...open }],
    ["the same prefix, from a namespace that comes first", "aaa", { match: { pathPrefix: "/shop" }, ...open }],
    ["a longer prefix, from a namespace that comes first", "aaa", { match: { pathPrefix: "/shop/v1" }, ...open }],
    ["a longer prefix that needs a key", "team-b", { match: { pathPrefix: "/shop/v1" }, routing: to("own") }],
  ];
  /** Gives each case its own revision, which `apply` waits for. */
  const marker = (what: string): Manifest =>
    policy("team-b", "marker", { match: { models: [what.replaceAll(/\W+/g, "-")] }, routing: to("own") });
  for (const [what, namespace, spec] of captures) {
    it(`${what} captures none of team-a's calls`, async () => {
      const attack = [
        ...base(),
        provider(namespace, "own", mine.url),
        policy(namespace, "capture", spec),
        marker(what),
      ];
      await gateway.apply(
        attack.filter((one, index) => attack.findLastIndex((other) => sameObject(one, other)) === index),
      );
      const [before, beforeMine] = [theirs.requests.length, mine.requests.length];
      const paths = ["/shop/v1/chat/completions", "/shop/chat/completions", "/shop"];
      for (const path of paths) assert.equal(await call(keyA, "secret-model", path), "200 ok");
      assert.equal(theirs.requests.length, before + paths.length);
      assert.equal(mine.requests.length, beforeMine);
    });
  }

  it("a key of team-a, revoked or not, is not served at an open path of team-b", async () => {
    const revoked = "slc_team_a_key_old";
    await gateway.apply([
      ...base(),
      policy("team-b", "welcome", { match: { pathPrefix: "/welcome" }, ...open }),
      object("ApiKey", "team-a", "old", { spec: { user: "old@team-a", writeTo: { name: "old-key" }, revoked: true } }),
      object("Secret", "team-a", "old-key", { stringData: { apiKey: revoked } }),
    ]);
    const ask = (clear: string | null) => call(clear, "gpt-4o", "/welcome/v1/chat/completions");
    assert.equal(await ask(null), "200 ok");
    assert.equal(await ask("sk-of-somebody-elses"), "200 ok");
    const before = mine.requests.length;
    assert.equal(await ask(keyA), "404 model_not_found");
    assert.equal(await ask(revoked), "401 revoked_api_key");
    assert.equal(mine.requests.length, before);
  });

  it("both teams work again after the attacks", () => gateway.apply(base()));

  const calls: [
    what: string,
    clear: string | null,
    model: string,
    path: string,
    headers: Record<string, string>,
    expected: string,
  ][] = [
    ["a model of team-a", keyB, "secret-model", "/v1/chat/completions", {}, "404 model_not_found"],
    ["a model of team-a on its path", keyB, "secret-model", "/shop/v1/chat/completions", {}, "404 model_not_found"],
    ["a model of team-a on its bare path", keyB, "secret-model", "/shop", {}, "404 model_not_found"],
    ["a model by provider and name", keyB, "gold/gpt-4o", "/v1/chat/completions", {}, "404 model_not_found"],
    ["a model by namespace and name", keyB, "team-a/secret-model", "/v1/chat/completions", {}, "404 model_not_found"],
    ["no key on team-a's path", null, "secret-model", "/shop", {}, "401 missing_api_key"],
    [
      "a namespace in a header",
      keyB,
      "secret-model",
      "/v1/chat/completions",
      { "x-namespace": "team-a", "x-sluice-namespace": "team-a", "x-user": "user@team-a" },
      "404 model_not_found",
    ],
  ];
  for (const [what, clear, model, path, headers, expected] of calls) {
    it(`a call for ${what}: ${expected}`, async () => {
      const before = theirs.requests.length;
      assert.equal(await call(clear, model, path, headers), expected);
      assert.equal(theirs.requests.length, before);
    });
  }

  it("only the policy's own providers can be preferred", async () => {
    const before = theirs.requests.length;
    for (const preferred of ["gold", "team-a/gold"])
      assert.equal(await call(keyB, "own-model", "/v1/chat/completions", { "x-prefer-provider": preferred }), "200 ok");
    assert.equal(theirs.requests.length, before);
    assert.equal(mine.requests.at(-1)?.headers.authorization, "Bearer sk-team-b");
  });

  it("an idempotency key differs between callers and is stable for each caller", async () => {
    await gateway.apply([
      ...base(),
      policy("team-b", "common", {
        match: { models: ["common"] },
        allowedNamespaces: { from: "All" },
        routing: { targets: [{ provider: { name: "own" }, model: "gpt-4o" }] },
      }),
    ]);
    for (const clear of [keyA, keyB, keyB])
      assert.equal(await call(clear, "common", "/v1/chat/completions", { "idempotency-key": "order-1" }), "200 ok");
    const [ofA, ofB, again] = mine.requests.slice(-3).map(({ headers }) => headers["idempotency-key"]);
    assert.match(String(ofA), /^[0-9a-f]{64}$/);
    assert.notEqual(ofA, ofB);
    assert.equal(again, ofB);
    await gateway.apply(base());
  });

  it("the list of models reveals none of team-a's models", async () => {
    const list = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${keyB}` } });
    assert.deepEqual(
      ((await list.json()) as { data: { id: string }[] }).data.map((one) => one.id),
      ["own-model"],
    );
    const one = await fetch(`${gateway.url}/v1/models/secret-model`, { headers: { authorization: `Bearer ${keyB}` } });
    const none = await fetch(`${gateway.url}/v1/models/no-such-model`, {
      headers: { authorization: `Bearer ${keyB}` },
    });
    assert.deepEqual([one.status, await one.text()], [none.status, await none.text()]);
  });
});
