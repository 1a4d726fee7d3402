/** Alerts at real HTTP and SMTP servers, and their delivery in virtual time. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { after, describe, it } from "node:test";
import { budgetStatus } from "../../crds/types/budget-status.ts";
import { secretRefs } from "../../operator/cluster/world.ts";
import type { Channel } from "../../operator/compile/alerts.ts";
import { filled } from "../../operator/compile/alerts.ts";
import { compile } from "../../operator/compile/compile.ts";
import { withPatches } from "../../operator/compile/verdict.ts";
import type { WorldObject } from "../../operator/compile/world.ts";
import { AlertDispatcher, type AlertOutcome } from "../../operator/delivery/dispatcher.ts";
import { type Alert, pagerDutyBody } from "../../operator/delivery/message.ts";
import { type Senders, type Sent, send } from "../../operator/delivery/send.ts";
import { budgetAlert } from "../../operator/loops/budgets/alert.ts";
import { BudgetBook } from "../../operator/loops/budgets/book.ts";
import { capabilitiesByType } from "../../proxy/config/capabilities.generated.ts";
import { startMailServer } from "../harness/mail-server.ts";

interface Received {
  path: string;
  headers: IncomingMessage["headers"];
  text: string;
  body: Record<string, unknown>;
}

async function receiver(answer: (request: IncomingMessage, response: ServerResponse, count: number) => void) {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (data: Buffer) => (text += data.toString("utf8")));
    request.on("end", () => {
      received.push({
        path: request.url ?? "",
        headers: request.headers,
        text,
        body: JSON.parse(text) as Record<string, unknown>,
      });
      answer(request, response, received.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

const said = (received: readonly Received[]) => received.map(({ path, body }) => ({ path, body }));

const facts = {
  budget: "a/b",
  subject: "alice",
  percent: "80",
  spent: "8.00",
  amount: "10.00",
  resetsAt: "2027-03-02T00:00:00Z",
  event: "Threshold",
};
const text = "The budget a/b for alice has reached 80 %: USD 8.00 of 10.00. It resets at 2027-03-02T00:00:00Z.";
const alert: Alert = {
  key: "a/b|1|Threshold 80 alice",
  incident: "a/b|1|Threshold 80 alice",
  event: "Threshold",
  state: "Active",
  severity: "warning",
  about: "Budget/a/b",
  title: "80 % (a/b)",
  text,
  facts,
  atMs: 0,
};
const channel = (type: Channel["type"], more: Partial<Channel> = {}): Channel => ({
  id: `${type}-1`,
  place: `${type} alerts/key 1`,
  type,
  secret: "d",
  signingKey: null,
  to: [],
  events: null,
  message: null,
  ...more,
});
const senders = (secret: string, more: Partial<Senders> = {}): Senders => ({
  smtp: null,
  pagerDutyURL: "http://127.0.0.1:1/",
  secret: () => secret,
  allowPrivate: true,
  nowMs: () => 1_796_083_200_999,
  ...more,
});

describe("an alert", () => {
  it("reaches Slack, escaped as Slack wants it", async () => {
    const { url, received } = await receiver((_request, response) => response.end("ok"));
    const subject = { ...alert, text: text.replace("alice", "<!channel> & co") };
    assert.deepEqual(await send(subject, channel("slack"), senders(`${url}/services/T/B/secret`)), { outcome: "done" });
    assert.deepEqual(said(received), [
      { path: "/services/T/B/secret", body: { text: text.replace("alice", "&lt;!channel&gt; &amp; co") } },
    ]);
  });

  it("reaches PagerDuty as an event of its second API, which tells a repeated one by its key", async () => {
    const { url, received } = await receiver((_request, response) => response.writeHead(202).end("{}"));
    assert.deepEqual(
      await send(alert, channel("pagerDuty"), senders("routing\n", { pagerDutyURL: `${url}/v2/enqueue` })),
      { outcome: "done" },
    );
    const { body } = received[0] as Received;
    assert.deepEqual([body["routing_key"], body["event_action"], body["dedup_key"]], ["routing", "trigger", alert.key]);
    assert.deepEqual((body["payload"] as Record<string, unknown>)["severity"], "warning");
    assert.equal((body["payload"] as Record<string, unknown>)["summary"], text);
  });

  it("reaches a webhook as documented, with the text that the budget gives", async () => {
    const { url, received } = await receiver((_request, response) => response.end());
    await send(
      alert,
      channel("webhook", { message: "{{budget}}: {{percent}} % by {{ subject }}" }),
      senders(`${url}/hook?token=x`),
    );
    assert.deepEqual(said(received)[0], {
      path: "/hook?token=x",
      body: {
        version: 1,
        key: alert.key,
        event: "Threshold",
        state: "Active",
        severity: "warning",
        object: "Budget/a/b",
        at: "1970-01-01T00:00:00.000Z",
        text: "a/b: 80 % by alice",
        facts,
      },
    });
  });

  it("is signed with its time, so that a webhook's receiver can tell who sent it and when", async () => {
    const { url, received } = await receiver((_request, response) => response.end());
    const secrets = new Map([
      ["d", `${url}/hook`],
      ["k", "a key of sixteen"],
    ]);
    const signed = channel("webhook", { signingKey: "k" });
    assert.deepEqual(await send(alert, signed, senders("", { secret: (one) => secrets.get(one) ?? null })), {
      outcome: "done",
    });
    const [{ headers, text: body }] = received as [Received];
    assert.equal(headers["x-sluice-timestamp"], "1796083200");
    assert.equal(
      headers["x-sluice-signature"],
      `sha256=${createHmac("sha256", "a key of sixteen").update(`1796083200.${body}`).digest("hex")}`,
    );
    secrets.delete("k");
    const why = "the Secret of its signing key does not exist";
    assert.deepEqual(await send(alert, signed, senders("", { secret: (one) => secrets.get(one) ?? null })), {
      outcome: "retry",
      why,
      afterMs: null,
    });
    assert.equal(received.length, 1, "never unsigned");
    await send(alert, channel("webhook"), senders(`${url}/hook`));
    assert.equal(received[1]?.headers["x-sluice-signature"], undefined);
  });

  it("reaches a mailbox by a real mail server, with its login", async () => {
    const { port, mails, close } = await startMailServer({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _session, done) =>
        username === "sluice" && password === "pass" ? done(null, { user: "sluice" }) : done(new Error("no")),
    });
    after(close);
    const smtp = {
      host: "127.0.0.1",
      port,
      security: "None",
      from: "sluice@example.com",
      auth: { user: "sluice", pass: "pass" },
    } as const;
    const to = channel("email", { to: ["finance@example.com", "boss@example.com"] });
    assert.deepEqual(await send(alert, to, senders("", { smtp })), { outcome: "done" });
    assert.match(mails[0] ?? "", /^finance@example\.com,boss@example\.com\n/);
    assert.match(mails[0] ?? "", /Subject: Sluice: 80 % \(a\/b\)/);
    assert.match((mails[0] ?? "").replace(/=\r\n/g, ""), /The budget a\/b for alice has reached 80 %/);
    const wrong = await send(alert, to, senders("", { smtp: { ...smtp, auth: { user: "sluice", pass: "wrong" } } }));
    assert.equal(wrong.outcome, "never");
    assert.doesNotMatch(JSON.stringify(wrong), /wrong/);
    const gone = await send(alert, to, senders("", { smtp: { ...smtp, port: 1 } }));
    assert.equal(gone.outcome, "retry");
  });

  it("is tried again where a mail server draws it out for ever", async () => {
    const server = createTcpServer((socket) => {
      const timer = setInterval(() => socket.write("220-wait\r\n"), 20);
      socket.on("error", () => undefined).on("close", () => clearInterval(timer));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const smtp = { host: "127.0.0.1", port, security: "None", from: "sluice@example.com", auth: null } as const;
    const sent = await send(
      alert,
      channel("email", { to: ["a@example.com"] }),
      senders("", { smtp, mailTimeoutMs: 200 }),
    );
    assert.deepEqual(sent, { outcome: "retry", why: "the mail server did not finish in time", afterMs: null });
  });

  for (const [name, status, headers, outcome] of [
    ["a fault of theirs is tried again", 500, {}, { outcome: "retry", why: "it answered 500", afterMs: null }],
    [
      "a limit of theirs is waited for",
      429,
      { "retry-after": "30" },
      { outcome: "retry", why: "it answered 429", afterMs: 30_000 },
    ],
    [
      "a moment of theirs is waited for by the operator's clock",
      503,
      { "retry-after": new Date(1_796_083_230_000).toUTCString() },
      { outcome: "retry", why: "it answered 503", afterMs: 29_001 },
    ],
    ["a webhook that is gone is not", 404, {}, { outcome: "never", why: "it answered 404" }],
    [
      "a redirect is not followed",
      302,
      { location: "http://169.254.169.254/" },
      { outcome: "never", why: "it answered 302" },
    ],
  ] as const)
    it(name, async () => {
      const { url } = await receiver((_request, response) => response.writeHead(status, headers).end());
      assert.deepEqual(await send(alert, channel("webhook"), senders(`${url}/secret-token`)), outcome);
    });

  for (const [name, secret, allowPrivate, why] of [
    ["what can't be called", "http://a%zz@host/", true, "the Secret's value is not a URL that can be called"],
    ["no URL", "sk-secret", true, "the Secret's value is not a URL"],
    ["another scheme", "file:///etc/passwd", true, "the Secret's value is not an http or https URL"],
    ["the cloud's metadata", "http://169.254.169.254/latest", true, "the URL leads to an address that is not allowed"],
    [
      "a private address where those are not for this namespace",
      "http://127.0.0.1:1/secret",
      false,
      "the URL leads to an address that is not allowed",
    ],
    [
      "a name of such an address",
      "http://localhost:1/secret",
      false,
      "the URL leads to an address that is not allowed",
    ],
  ] as const)
    it(`is not sent to ${name}`, async () => {
      assert.deepEqual(await send(alert, channel("webhook"), senders(secret, { allowPrivate })), {
        outcome: "never",
        why,
      });
    });

  it("leaves unknown placeholders alone", () => {
    assert.equal(filled("{{budget}} {{constructor}} {{ percent }} {{", facts), "a/b {{constructor}} 80 {{");
  });
});

const digest = "d".repeat(64);
const budget = (spec: Record<string, unknown>, status: unknown = {}): WorldObject => ({
  kind: "Budget",
  meta: { name: "b", namespace: "a", uid: "u", generation: 1, createdAtMs: 0, labels: {} },
  spec: { amount: "10", period: "Daily", ...spec },
  status,
});
const compiled = (object: WorldObject, hasMail = true) => compiledAll([object], hasMail);
const compiledAll = (objects: WorldObject[], hasMail = true) =>
  compile(
    {
      world: {
        objects,
        namespaces: { a: {} },
        secrets: {
          "a/alerts": {
            url: { digest, displayPrefix: "" },
            other: { digest, displayPrefix: "" },
            key: { digest: "k".repeat(64), displayPrefix: "", length: 16 },
          },
          "a/short": { key: { digest, displayPrefix: "", length: 15 } },
        },
      },
      settings: { proxy: { maxBodyBytes: 1024 }, sharingNamespaces: [], hasMail },
      previous: null,
      nowMs: 0,
    },
    capabilitiesByType,
  );
const two = {
  alerts: [
    { webhook: { secretRef: { name: "alerts", key: "url" } } },
    { slack: { secretRef: { name: "alerts", key: "other" } }, events: ["Spike"] },
  ],
};

describe("what a budget's alerts refer to", () => {
  for (const [name, spec, hasMail, reason, message] of [
    [
      "a Secret that isn't there",
      { alerts: [{ slack: { secretRef: { name: "none", key: "url" } } }] },
      true,
      "SecretNotFound",
      /Secret none is not in namespace a/,
    ],
    [
      "a key that isn't there",
      { alerts: [{ slack: { secretRef: { name: "alerts", key: "none" } } }] },
      true,
      "SecretKeyNotFound",
      /has no key none/,
    ],
    [
      "a signing key",
      {
        alerts: [
          { webhook: { secretRef: { name: "alerts", key: "url" }, signingKeyRef: { name: "alerts", key: "none" } } },
        ],
      },
      true,
      "SecretKeyNotFound",
      /Secret alerts has no key none/,
    ],
    [
      "a signing key that nobody could guess",
      {
        alerts: [
          { webhook: { secretRef: { name: "alerts", key: "url" }, signingKeyRef: { name: "short", key: "key" } } },
        ],
      },
      true,
      "SecretUnusable",
      /a signing key has at least 16 bytes/,
    ],
    [
      "mail without a mail server",
      { alerts: [{ email: { to: ["a@example.com"] } }] },
      false,
      "Unsupported",
      /no mail server/,
    ],
  ] as const)
    it(`is missing: ${name}`, () => {
      const [verdict] = compiled(budget(spec), hasMail).verdicts;
      assert.deepEqual(
        verdict?.resolvedRefs.map((ref) => ref.reason),
        [reason],
      );
      assert.match(verdict?.resolvedRefs[0]?.message ?? "", message);
      assert.equal(verdict?.live, "current", "the budget holds all the same");
      assert.deepEqual(compiled(budget(spec), hasMail).watches[0]?.channels, []);
    });

  it("is a key to sign with, too", () => {
    const webhook = { secretRef: { name: "alerts", key: "url" }, signingKeyRef: { name: "alerts", key: "key" } };
    const one = budget({ alerts: [{ webhook }] });
    assert.equal(compiled(one).watches[0]?.channels[0]?.signingKey, "k".repeat(64));
    assert.deepEqual(
      secretRefs(budget({ alerts: [{ webhook: { ...webhook, signingKeyRef: { name: "keys", key: "key" } } }] })),
      ["a/alerts", "a/keys"],
    );
  });

  it("is a fact that a message may name", () => {
    const [verdict] = compiled(
      budget({ alerts: [{ email: { to: ["a@example.com"] }, message: "{{budgett}}" }] }),
    ).verdicts;
    assert.match(
      verdict?.accepted[0]?.message ?? "",
      /\{\{budgett\}\} is unknown; known placeholders are \{\{budget\}\}/,
    );
  });
});

describe("what an alert says of money", () => {
  const [watch] = compiled(budget({ alerts: [{ email: { to: ["a@example.com"] } }] })).watches;
  const crossing = { percent: 80, subject: "", spent: "8.00", at: "2027-03-01T09:00:00Z", told: [] };
  const rate = { code: "EUR", perUsdMillionths: 920_000 };
  for (const [name, event, currency, text, facts] of [
    ["in USD", "Threshold", null, /: USD 8\.00 of 10\.00\. /, ["", "", ""]],
    [
      "also in a display currency",
      "Threshold",
      rate,
      /: USD 8\.00 of 10\.00 \(EUR 7\.36 of 9\.20\)\. /,
      ["EUR", "7.36", "9.20"],
    ],
    ["of a spike, too", "Spike", rate, /: USD 8\.00 \(EUR 7\.36\) so far\. /, ["EUR", "7.36", "9.20"]],
  ] as const)
    it(name, () => {
      assert.ok(watch);
      const alert = budgetAlert(
        { ...watch, ...(currency === null ? {} : { currency }) },
        { ...crossing, event },
        Date.parse("2027-03-02T00:00:00Z"),
        "key",
      );
      assert.match(alert.text, text);
      const { currency: code, spentInCurrency, amountInCurrency } = alert.facts;
      assert.deepEqual([code, spentInCurrency, amountInCurrency], facts);
    });
});

describe("the delivery of alerts", () => {
  const start = Date.parse("2027-03-01T00:00:00Z");
  const dayMs = 86_400_000;
  const reading = (spent: number, day = 0, refused: string[] = []) => ({
    instance: "i",
    shared: true,
    budgets: [
      {
        id: "a/b",
        periodStartMs: start + day * dayMs,
        resetsAtMs: start + (day + 1) * dayMs,
        spentNanoUsd: spent * 1e9,
        groupCount: 1,
        groups: [{ subject: "", spentNanoUsd: spent * 1e9 }],
        refused,
      },
    ],
  });

  /** An operator's life: passes with what proxies report, its status kept between lives. */
  function operator(answers: (Sent | Promise<Sent>)[], given: Record<string, unknown> | null = two) {
    let nowMs = start;
    let status: unknown = {};
    let spec = given;
    let book = new BudgetBook();
    const sent: string[] = [];
    const incidents: string[] = [];
    const outcomes: string[] = [];
    const make = () =>
      new AlertDispatcher({
        send: (one, { id, secret }, _namespace, kept) => {
          assert.equal(kept?.get(secret) ?? "clear", "clear");
          sent.push(`${id} ${one.facts["percent"]}: ${one.text}`);
          const { event_action: action, dedup_key: key } = pagerDutyBody(
            one,
            channel("pagerDuty"),
            "routing",
          ) as Record<string, string>;
          incidents.push(`${id} ${action} ${key}`);
          return Promise.resolve(answers.shift() ?? { outcome: "done" });
        },
        nowMs: () => nowMs,
        random: () => 1,
        changed: () => undefined,
        wake: () => undefined,
        outcome: (one: AlertOutcome) => outcomes.push(one.result),
      });
    let dispatcher = make();
    return {
      sent,
      incidents,
      outcomes,
      status: () => status as { unresolved?: unknown[]; crossings?: { told: string[] }[]; alertTest?: unknown },
      change: (next: Record<string, unknown> | null) => (spec = next),
      async pass(spent: number, afterMs = 1_000, day = 0, settle = true) {
        nowMs += afterMs;
        const objects = spec === null ? [] : [budget(spec, status)];
        book.learn(objects);
        const all = compiledAll(objects);
        const patches = book.report(all, [reading(spent, day)], nowMs, new Map([[digest, "clear"]]));
        all.verdicts = withPatches(all.verdicts, patches);
        status = JSON.parse(JSON.stringify(all.verdicts[0]?.status ?? {}));
        budgetStatus.parse({ ...(status as object), conditions: [] });
        dispatcher.dispatch(book.due(all));
        if (settle) await dispatcher.idle();
      },
      idle: () => dispatcher.idle(),
      restart() {
        book = new BudgetBook();
        dispatcher = make();
      },
    };
  }

  it("happens once for each crossing and channel, over restarts", async () => {
    const life = operator([]);
    await life.pass(7);
    assert.deepEqual(life.sent, []);
    await life.pass(8.5);
    await life.pass(8.6);
    life.restart();
    await life.pass(9);
    life.restart();
    await life.pass(10);
    await life.pass(10);
    const sentence = (percent: number, spent: string) =>
      `webhook-1 ${percent}: The budget a/b has reached ${percent} %: USD ${spent} of 10.00. It resets at 2027-03-02T00:00:00Z.`;
    assert.deepEqual(life.sent, [sentence(80, "8.50"), sentence(100, "10.00")], "the other channel is for spikes");
  });

  it("is tried again with growing pauses when it fails, also by the next operator", async () => {
    const fault: Sent = { outcome: "retry", why: "it answered 500", afterMs: null };
    const life = operator([fault, fault, { outcome: "retry", why: "it answered 429", afterMs: 60_000 }]);
    await life.pass(8.5);
    await life.pass(8.5);
    assert.equal(life.sent.length, 1, "not at once");
    await life.pass(8.5, 5_000);
    await life.pass(8.5, 5_000);
    assert.equal(life.sent.length, 2, "the pause has grown");
    await life.pass(8.5, 5_000);
    assert.equal(life.sent.length, 3);
    await life.pass(8.5, 30_000);
    assert.equal(life.sent.length, 3, "they asked for a minute");
    life.restart();
    await life.pass(8.5);
    assert.equal(life.sent.length, 4);
    await life.pass(8.5);
    assert.deepEqual(life.outcomes, ["retried", "retried", "retried", "sent"]);
  });

  it("is given up where it can never succeed, and after a day", async () => {
    const never = operator([{ outcome: "never", why: "it answered 404" }]);
    await never.pass(8.5);
    await never.pass(8.5, 3_600_000);
    assert.deepEqual([never.sent.length, never.outcomes], [1, ["given_up"]]);
    const late = operator(
      Array.from({ length: 1_000 }, (): Sent => ({ outcome: "retry", why: "it answered 500", afterMs: null })),
    );
    for (let hour = 0; hour < 30; hour++) await late.pass(8.5, 3_600_000);
    assert.equal(late.outcomes.at(-1), "given_up");
    assert.equal(late.sent.length, 25);
  });

  it("can be tested, each channel once per request, and again for a budget that was recreated", async () => {
    const book = new BudgetBook();
    const asked: WorldObject = {
      ...budget(two),
      meta: { ...budget(two).meta, annotations: { "sluice.dev/test-alerts": "now" } },
    };
    const sent: string[] = [];
    const fails = new TypeError("of https://hooks.example.com/secret");
    const dispatcher = new AlertDispatcher({
      send: (_alert, { id }) => (sent.push(id) === 1 ? Promise.reject(fails) : Promise.resolve({ outcome: "done" })),
      nowMs: () => start,
      random: () => 1,
      changed: () => undefined,
      wake: () => undefined,
      outcome: () => undefined,
    });
    const pass = async (objects: WorldObject[]): Promise<unknown> => {
      const all = compiledAll(objects);
      book.learn(objects);
      all.verdicts = withPatches(all.verdicts, book.report(all, [], start));
      dispatcher.test(book.testsDue(all, start));
      await dispatcher.idle();
      return all.verdicts[0]?.status["alertTest"];
    };
    await pass([asked]);
    const results = [
      { channel: "webhook-1", result: "not sent; the operator's log says why" },
      { channel: "slack-1", result: "sent" },
    ];
    assert.deepEqual(await pass([asked]), { requestedAt: "now", results });
    assert.deepEqual(sent.splice(0), ["webhook-1", "slack-1"]);
    await pass([]);
    assert.equal(await pass([asked]), undefined, "what an earlier one's trial gave is none of its");
    assert.deepEqual(sent, ["webhook-1", "slack-1"]);
  });

  describe("to PagerDuty", () => {
    const key = (name: string, day = 0): string => `a/b|${start + day * dayMs}|${name}`;
    const pager = (secretKey: string): object => ({ pagerDuty: { secretRef: { name: "alerts", key: secretKey } } });
    const hooked = { alerts: [{ slack: { secretRef: { name: "alerts", key: "other" } } }, pager("url")] };
    const only = { alerts: [pager("url")] };

    it("ends the incidents of a period with it, once, and those of the next with that", async () => {
      const life = operator([], hooked);
      await life.pass(11);
      assert.deepEqual(life.incidents.splice(0), [
        `slack-1 trigger ${key("Threshold 80 ")}`,
        `pagerDuty-1 trigger ${key("Threshold 80 ")}`,
        `slack-1 trigger ${key("Threshold 100 ")}`,
        `pagerDuty-1 trigger ${key("Threshold 100 ")}`,
      ]);
      await life.pass(11);
      await life.pass(0, dayMs, 1);
      assert.equal(life.status().unresolved?.length, 2, "as the status remembers it");
      await life.pass(0, 1_000, 1);
      await life.pass(0, 60_000, 1);
      assert.deepEqual(life.incidents.splice(0), [
        `pagerDuty-1 resolve ${key("Threshold 80 ")}`,
        `pagerDuty-1 resolve ${key("Threshold 100 ")}`,
      ]);
      assert.equal(life.status().unresolved, undefined);
      await life.pass(9, 1_000, 1);
      await life.pass(9, 1_000, 1);
      await life.pass(0, dayMs, 2);
      await life.pass(0, 1_000, 2);
      assert.deepEqual(life.incidents.slice(1), [
        `pagerDuty-1 trigger ${key("Threshold 80 ", 1)}`,
        `pagerDuty-1 resolve ${key("Threshold 80 ", 1)}`,
      ]);
    });

    it("does so across restarts: before the period ends, and before PagerDuty could be notified", async () => {
      const fault: Sent = { outcome: "retry", why: "it answered 500", afterMs: null };
      const life = operator([{ outcome: "done" }, fault], only);
      await life.pass(9);
      await life.pass(9);
      life.restart();
      await life.pass(0, dayMs, 1);
      assert.deepEqual(life.outcomes, ["sent", "retried"]);
      await life.pass(0, 1_000, 1);
      life.restart();
      await life.pass(0, 1_000, 1);
      await life.pass(0, 1_000, 1);
      life.restart();
      await life.pass(0, 60_000, 1);
      assert.deepEqual(life.incidents.slice(1), Array(2).fill(`pagerDuty-1 resolve ${key("Threshold 80 ")}`));
    });

    it("ends no incident that it could not open, and one that opened too late at once", async () => {
      const never = operator([{ outcome: "never", why: "it answered 400" }], only);
      await never.pass(9);
      await never.pass(9);
      never.restart();
      await never.pass(0, dayMs, 1);
      assert.equal(never.incidents.length, 1);
      const arrived = Promise.withResolvers<Sent>();
      const late = operator([arrived.promise], only);
      await late.pass(9, dayMs - 5_000, 0, false);
      await late.pass(0, 5_000, 1, false);
      arrived.resolve({ outcome: "done" });
      await late.idle();
      await late.pass(0, 1_000, 1);
      await late.pass(0, 1_000, 1);
      assert.deepEqual(late.incidents, [
        `pagerDuty-1 trigger ${key("Threshold 80 ")}`,
        `pagerDuty-1 resolve ${key("Threshold 80 ")}`,
      ]);
    });

    it("gives up after a day", async () => {
      const faults = Array.from(
        { length: 100 },
        (): Sent => ({ outcome: "retry", why: "it answered 500", afterMs: null }),
      );
      const life = operator([{ outcome: "done" }, ...faults], only);
      await life.pass(9);
      for (let hour = 0; hour < 30; hour++) await life.pass(0, hour === 0 ? dayMs : 3_600_000, 1);
      assert.deepEqual([life.outcomes.at(-1), life.status().unresolved], ["given_up", undefined]);
    });

    for (const [name, next] of [
      ["the budget is deleted", null],
      ["its channel goes", { alerts: [pager("key")] }],
      [
        "it limits no money any more",
        { amount: undefined, period: undefined, limits: [{ requests: 1, window: "1m" }] },
      ],
    ] as const)
      it(`ends an incident when ${name}`, async () => {
        const life = operator([], only);
        await life.pass(9);
        await life.pass(9);
        life.change(next);
        await life.pass(9);
        await life.pass(9);
        const ended = life.incidents.filter((incident) => incident.includes("resolve"));
        assert.deepEqual(ended, [`pagerDuty-1 resolve ${key("Threshold 80 ")}`]);
      });

    it("sends nothing twice when an error in the budget is fixed", async () => {
      const life = operator([], only);
      await life.pass(9);
      await life.pass(9);
      for (const broken of [
        { ...only, thresholds: "none" },
        { alerts: [{ ...pager("url"), message: "{{nothing}}" }] },
      ]) {
        life.change(broken);
        await life.pass(9);
        assert.deepEqual(life.status().crossings?.[0]?.told, ["pagerDuty-1"]);
        life.restart();
        await life.pass(9);
        life.change(only);
        await life.pass(9);
      }
      assert.equal(life.incidents.length, 1);
    });

    it("tells those who come later in a period, and those who stay only once", async () => {
      const life = operator([], only);
      await life.pass(9);
      await life.pass(9);
      life.change({ alerts: [pager("key"), pager("url")] });
      await life.pass(9);
      await life.pass(9);
      assert.deepEqual(life.incidents.slice(1), [`pagerDuty-1 trigger ${key("Threshold 80 ")}`]);
      assert.deepEqual(life.status().crossings?.[0]?.told, ["pagerDuty-1", "pagerDuty-2"]);
    });

    it("names an incident of a long subject so that no other has its name", () => {
      const of = (incident: string) =>
        (pagerDutyBody({ ...alert, incident }, channel("pagerDuty"), "routing") as Record<string, string>)[
          "dedup_key"
        ] ?? "";
      const long = "x".repeat(300);
      assert.equal(of(`${long}a`).length, 255);
      assert.notEqual(of(`${long}a`), of(`${long}b`));
      assert.equal(of(`${long}a`), of(`${long}a`));
    });
  });
});
