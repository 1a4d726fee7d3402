/** Limits that a Budget sets for a scope, and those of roles. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
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
import { sluice } from "../harness/sluice.ts";
import { startUpstream } from "../harness/upstream.ts";

const upstream = await startUpstream();
after(() => upstream.close());
const clearOf = (name: string): string => `slc_${name}_key_0001_0123456789`;
const price = { inputPerMillion: "2.5", outputPerMillion: "10" };

const labelled = (manifests: Manifest[], labels: Record<string, string>): Manifest[] =>
  manifests.map((manifest) =>
    manifest.kind === "ApiKey" ? { ...manifest, metadata: { ...manifest.metadata, labels } } : manifest,
  );
const manifests = (...more: Manifest[]): Manifest[] => [
  provider("up", upstream.url, {
    models: [
      { name: "gpt-4o", price },
      { name: "gpt-4", price },
    ],
  }),
  secret("up-credentials", { apiKey: "sk-upstream" }),
  policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
  policy("more", { match: { models: ["gpt-4"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
  ...key("alice", clearOf("alice"), {
    user: "alice@example.com",
    team: "red",
    tags: ["batch"],
    role: "data-scientist",
  }),
  ...key("alice-2", clearOf("alice-2"), { user: "alice@example.com", team: "red", role: "developer" }),
  ...labelled(key("carol", clearOf("carol"), { user: "carol@example.com" }), { tier: "gold", stage: "test" }),
  ...labelled(key("dave", clearOf("dave"), { user: "dave@example.com" }), { tier: "gold" }),
  ...key("bob", clearOf("bob"), { user: "bob@example.com", team: "blue", role: "data-scientist" }),
  ...more,
];
const limit = (spec: Record<string, unknown>): Manifest => ({ kind: "Budget", metadata: { name: "brake" }, spec });

async function gateway(more: Manifest[], flags: string[] = []): Promise<TestGateway> {
  const started = await startGateway(manifests(...more), flags);
  after(() => started.close());
  return started;
}

const call = (url: string, as: string, model = "gpt-4o"): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${clearOf(as)}`, "content-type": "application/json" },
    body: JSON.stringify({ model, max_tokens: 10, messages: [{ role: "user", content: "Hi" }] }),
  });

/** Each step: the caller, the model and the expected result. */
const rows: { name: string; spec: Record<string, unknown>; steps: [as: string, status: number, model?: string][] }[] = [
  {
    name: "a user, whichever key and policy",
    spec: { scope: { users: ["alice@example.com"] }, limits: [{ requests: 2, window: "1h" }] },
    steps: [
      ["alice", 200],
      ["alice-2", 200, "gpt-4"],
      ["alice", 429],
      ["alice-2", 429],
      ["bob", 200],
      ["bob", 200],
      ["bob", 200],
    ],
  },
  {
    name: "a team",
    spec: { scope: { teams: ["blue"] }, limits: [{ requests: 1, window: "1h" }] },
    steps: [
      ["bob", 200],
      ["bob", 429],
      ["alice", 200],
      ["alice", 200],
    ],
  },
  {
    name: "a tag",
    spec: { scope: { tags: ["batch"] }, limits: [{ requests: 1, window: "1h" }] },
    steps: [
      ["alice", 200],
      ["alice", 429],
      ["alice-2", 200],
    ],
  },
  {
    name: "a role",
    spec: { scope: { roles: ["developer"] }, limits: [{ requests: 1, window: "1h" }] },
    steps: [
      ["alice-2", 200],
      ["alice-2", 429],
      ["bob", 200],
    ],
  },
  {
    name: "a key",
    spec: { scope: { apiKeys: ["alice"] }, limits: [{ requests: 1, window: "1h" }] },
    steps: [
      ["alice", 200],
      ["alice", 429],
      ["alice-2", 200],
    ],
  },
  {
    name: "a model",
    spec: { scope: { models: ["gpt-4"] }, limits: [{ requests: 1, window: "1h" }] },
    steps: [
      ["alice", 200, "gpt-4"],
      ["bob", 429, "gpt-4"],
      ["bob", 200],
    ],
  },
  {
    name: "keys with a label",
    spec: { scope: { selector: { matchLabels: { tier: "gold" } } }, limits: [{ requests: 1, window: "1h" }] },
    steps: [
      ["dave", 200],
      ["carol", 429],
      ["bob", 200],
    ],
  },
  {
    name: "keys whose labels meet conditions",
    spec: {
      scope: {
        selector: {
          matchExpressions: [
            { key: "tier", operator: "Exists" },
            { key: "stage", operator: "NotIn", values: ["test"] },
          ],
        },
      },
      limits: [{ requests: 1, window: "1h" }],
    },
    steps: [
      ["dave", 200],
      ["dave", 429],
      ["carol", 200],
      ["bob", 200],
    ],
  },
  {
    name: "everybody together",
    spec: { limits: [{ requests: 2, window: "1h" }] },
    steps: [
      ["alice", 200],
      ["bob", 200],
      ["alice-2", 429],
    ],
  },
  {
    name: "each user",
    spec: { per: "User", limits: [{ requests: 1, window: "1h" }] },
    steps: [
      ["alice", 200],
      ["alice-2", 429],
      ["bob", 200],
      ["bob", 429],
    ],
  },
  {
    name: "tokens",
    spec: { limits: [{ tokens: 20, window: "1h" }] },
    steps: [
      ["alice", 200],
      ["alice", 429],
    ],
  },
  {
    name: "nobody any more, since it is over",
    spec: { limits: [{ requests: 1, window: "1h" }], expiresAt: "2020-01-01T00:00:00Z" },
    steps: [
      ["alice", 200],
      ["alice", 200],
    ],
  },
  {
    name: "money that is not limited any more either",
    spec: { amount: "0.000001", period: "Daily", expiresAt: "2020-01-01T00:00:00Z" },
    steps: [["alice", 200]],
  },
];

describe("limits of a Budget apply to", () => {
  for (const { name, spec, steps } of rows)
    it(name, async () => {
      const { url } = await gateway([limit(spec)]);
      for (const [index, [as, status, model]] of steps.entries()) {
        const answer = await call(url, as, model);
        assert.equal(answer.status, status, `step ${index}: ${as} ${await answer.text()}`);
      }
    });

  it("name the object that sets them, and what is left", async () => {
    const { url } = await gateway([limit({ per: "User", limits: [{ requests: 1, window: "1h" }] })]);
    const first = await call(url, "bob");
    assert.equal(first.headers.get("x-ratelimit-remaining-requests"), "0");
    await first.text();
    const { error } = (await (await call(url, "bob")).json()) as { error: { message: string; code: string } };
    assert.equal(error.code, "rate_limit_exceeded");
    assert.match(
      error.message,
      /1 request per hour for this user, as Budget default\/brake says\. Try again in 3\d{3} s/,
    );
  });
});

describe("limits of a role", () => {
  const settings = join(tmpdir(), `sluice-role-limits-${process.pid}.yaml`);
  after(() => rm(settings, { force: true }));
  const withLimits = async (limits: Record<string, unknown>): Promise<string> => {
    await writeFile(settings, JSON.stringify({ roles: { "data-scientist": { permissions: ["use_models"], limits } } }));
    return (await gateway([], ["--settings", settings])).url;
  };

  it("apply per day to each of its users, and to nobody else", async () => {
    const url = await withLimits({ requestsPerDay: 1 });
    assert.equal((await call(url, "alice")).status, 200);
    const refused = await call(url, "alice");
    assert.equal(refused.status, 429);
    assert.match(await refused.text(), /1 request per day for this user, as the role data-scientist says/);
    assert.equal((await call(url, "bob")).status, 200);
    assert.equal((await call(url, "alice-2")).status, 200, "another role");
    assert.equal((await call(url, "alice-2")).status, 200);
  });

  it("are a hard limit on a day's cost", async () => {
    // A call can cost up to about 400 input tokens and 10 output tokens.
    const url = await withLimits({ costPerDay: "0.00115" });
    const statuses: number[] = [];
    let last = "";
    for (let at = 0; at < 12; at++) {
      const answer = await call(url, "alice");
      statuses.push(answer.status);
      last = await answer.text();
    }
    assert.equal(statuses[0], 200);
    assert.equal(statuses.at(-1), 429);
    assert.match(last, /The budget of the role data-scientist \(USD 0\.001150, daily\) (is used up|has USD)/);
    assert.equal((await call(url, "bob")).status, 200);
  });

  it("are refused if they make no sense", async () => {
    for (const [limits, message] of [
      [{}, /set requestsPerDay, tokensPerDay or costPerDay/],
      [{ requestsPerDay: 0 }, /requestsPerDay/],
      [{ costPerDay: 5 }, /costPerDay/],
      [{ perHour: 5 }, /perHour/],
    ] as const)
      await assert.rejects(withLimits(limits), message);
  });
});

describe("sluice set-rate-limit, on a folder", () => {
  const setLimit = (...args: string[]) => sluice("set-rate-limit", ...args);

  it("limits a user immediately, changes the limit, and removes it", async () => {
    const { url, folder } = await gateway([]);
    const set = (...args: string[]) => setLimit("--user", "alice@example.com", ...args, "--folder", folder);
    assert.equal((await call(url, "alice")).status, 200);
    const made = await set("--limit", "1", "--period", "1h", "--concurrency", "5", "--expires-in", "24h");
    assert.equal(made.code, 0, made.stderr);
    assert.match(
      made.stdout,
      /^Budget default\/rate-limit-alice-example-com written to .*budget-default-rate-limit-alice-example-com\.yaml\n$/,
    );
    await eventually(async () => (await call(url, "alice")).status === 429);
    assert.equal((await set("--limit", "1000")).code, 0);
    await eventually(async () => (await call(url, "alice")).status === 200);
    assert.equal((await set("--limit", "1")).code, 0);
    await eventually(async () => (await call(url, "alice")).status === 429);
    assert.equal((await set("--remove")).code, 0);
    await eventually(async () => (await call(url, "alice")).status === 200);
  });

  it("lists limits, names other ones of the same caller, and doubts callers that it doesn't know", async () => {
    const folder = await temporaryFolder("limits");
    after(() => removeFolder(folder));
    await writeFile(
      join(folder, "keys.yaml"),
      "kind: ApiKey\nmetadata: { name: alice }\nspec: { user: alice, team: a }\n---\nkind: Budget\nmetadata: { name: money }\nspec: { amount: '5', period: Daily }\n",
    );
    const here = (...args: string[]) => setLimit(...args, "--folder", folder);
    assert.equal((await here("--list")).stdout, "namespace default has no limits\n");
    const known = await here("--user", "alice", "--model", "gpt-4o", "--limit", "5", "--per", "User");
    assert.deepEqual([known.code, known.stderr], [0, ""]);
    const unknown = await here("--user", "alcie", "--limit", "5", "--concurrency", "2");
    assert.equal(unknown.code, 0);
    assert.match(unknown.stderr, /^note: no ApiKey of the namespace has the user alcie; /);
    assert.equal((await here("--user", "alice", "--tokens", "9", "--period", "1m")).code, 0);
    const list = (await here("--list")).stdout.split("\n").map((line) => line.replace(/ {2,}/g, " | "));
    assert.deepEqual(list, [
      "NAME | FOR | LIMIT | PER | EXPIRES",
      "rate-limit-alcie | user alcie | 5 requests per 1h, 2 at once",
      "rate-limit-alice | user alice | 9 tokens per 1m",
      "rate-limit-alice-gpt-4o | user alice, model gpt-4o | 5 requests per 1h | User",
      "",
    ]);
    const removed = await here("--user", "alice", "--remove");
    assert.match(
      removed.stderr,
      /^note: Budget rate-limit-alice-gpt-4o still limits user alice, model gpt-4o; --remove --name rate-limit-alice-gpt-4o removes it\n$/,
    );
  });

  for (const [args, message] of [
    [["--limit", "5"], /say for whom/],
    [["--user", "a"], /say how much/],
    [["--user", "a", "--limit=-1"], /--limit must be a whole number/],
    [["--user", "a", "--limit", "5", "--period", "1 hour"], /window/],
    [["--user", "a", "--limit", "5", "--expires-in", "soon"], /--expires-in must be a time/],
    [["--user", "a", "--limit", "5", "--per", "Planet"], /per must be one of/],
    [["--user", "a", "--limit", "5", "--wait", "x"], /--wait/],
    [["--nobody", "a"], /nobody/],
  ] as const)
    it(`refuses ${args.join(" ")}`, async () => {
      const done = await setLimit(...args, "--folder", tmpdir());
      assert.equal(done.code, 2, done.stdout);
      assert.match(done.stderr, message);
    });
});
