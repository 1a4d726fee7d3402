/** Channels that are silenced or take digests, mentions and links in messages, and recipients that a server refuses. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { EventsV1ApiCreateNamespacedEventRequest } from "@kubernetes/client-node";
import { pino } from "pino";
import type { Cluster } from "../../operator/cluster/api.ts";
import type { Channel } from "../../operator/compile/alerts.ts";
import type { Compiled } from "../../operator/compile/compile.ts";
import { AlertLoop } from "../../operator/delivery/alert-loop.ts";
import { type Alert, digestOf, mailOf, slackBody, webhookBody, withLinks } from "../../operator/delivery/message.ts";
import type { PendingAlert } from "../../operator/delivery/pending-alert.ts";
import { readyAlerts } from "../../operator/delivery/quiet-channels.ts";
import { send } from "../../operator/delivery/send.ts";
import type { OperatorSettings } from "../../operator/settings/settings.ts";
import { directEgress } from "../../proxy/config/egress/egress.ts";
import { startMailServer } from "../harness/mail-server.ts";

const alertOf = (key: string, more: Partial<Alert> = {}): Alert => ({
  key,
  incident: key,
  event: "Threshold",
  state: "Active",
  severity: "warning",
  about: "Budget/a/b",
  title: "80 % (a/b)",
  text: `text of ${key}`,
  facts: { budget: "a/b", subject: key, percent: "80" },
  atMs: 0,
  ...more,
});
const channelOf = (type: Channel["type"], more: Partial<Channel> = {}): Channel => ({
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
const settled: string[] = [];
const pending = (alert: Alert, ...channels: Channel[]): PendingAlert => ({
  kind: "Budget",
  meta: { name: "b", namespace: "a", uid: "u", generation: 1, createdAtMs: 0, labels: {} },
  alert,
  channels,
  settled: (channel) => void settled.push(`${alert.key} ${channel}`),
});
const keys = (due: readonly PendingAlert[], nowMs: number) => {
  const { ready, wakeMs } = readyAlerts(due, nowMs);
  return { sent: ready.map(({ pending, channel }) => `${pending.alert.key} ${channel.id}`), wakeMs };
};

describe("a silenced channel", () => {
  const slack = channelOf("slack", { silencedUntilMs: 1_000 });
  const pagerDuty = channelOf("pagerDuty", { silencedUntilMs: 1_000 });

  it("gets nothing before its time, and then what is still due", () => {
    const due = [pending(alertOf("one"), slack, channelOf("webhook"))];
    assert.deepEqual(keys(due, 999), { sent: ["one webhook-1"], wakeMs: 1_000 });
    assert.deepEqual(keys(due, 1_000), { sent: ["one slack-1", "one webhook-1"], wakeMs: null });
  });

  it("closes PagerDuty's incidents all the same", () => {
    const due = [pending(alertOf("end", { state: "Over" }), slack, pagerDuty), pending(alertOf("start"), pagerDuty)];
    assert.deepEqual(keys(due, 0), { sent: ["end pagerDuty-1"], wakeMs: 1_000 });
  });
});

describe("a digest", () => {
  const mail = channelOf("email", { digestMs: 3_600_000 });
  const due = [
    pending(alertOf("two", { atMs: 60_000, severity: "critical" }), mail),
    pending(alertOf("one"), mail, channelOf("slack")),
    pending(alertOf("elsewhere", { about: "Budget/a/c", atMs: 3_000_000 }), mail),
  ];

  it("is sent once its time is up, one for each object", () => {
    assert.deepEqual(keys(due, 3_599_999), { sent: ["one slack-1"], wakeMs: 3_600_000 });
    const { ready, wakeMs } = readyAlerts(due, 3_600_000);
    assert.equal(wakeMs, 6_600_000);
    assert.deepEqual(
      ready.map(({ channel }) => channel.id),
      ["slack-1", "email-1"],
    );
    const digest = ready[1]?.pending as PendingAlert;
    assert.deepEqual(mailOf(digest.alert, mail), {
      subject: "Sluice: 2 alerts (a/b)",
      text: "text of one\ntext of two\n",
    });
    assert.equal(digest.alert.severity, "critical");
    digest.settled("email-1", "sent");
    assert.deepEqual(settled, ["two email-1", "one email-1"]);
  });

  it("of one alert is that alert", () => {
    const one = alertOf("one");
    assert.equal(digestOf([one]), one);
  });

  it("applies the message to each alert, and lists them to a webhook", () => {
    const digest = digestOf([alertOf("x"), alertOf("y")]);
    const body = webhookBody(digest, channelOf("webhook", { message: "{{subject}}!" })) as Record<string, unknown>;
    assert.equal(body["text"], "x!\ny!");
    assert.equal(body["event"], "Digest");
    assert.deepEqual(
      (body["alerts"] as { key: string }[]).map(({ key }) => key),
      ["x", "y"],
    );
  });
});

describe("a message to Slack", () => {
  const facts = { subject: "<!channel> & co", console: "https://console.example.com/?a=1&b=2" };
  for (const [what, message, text] of [
    ["keeps a mention", "<!channel> look", "<!channel> look"],
    ["keeps a person and a group", "<@U012AB> <!subteam^S01>", "<@U012AB> <!subteam^S01>"],
    ["keeps a link with its words", "<https://example.com/?a=1|dashboard>", "<https://example.com/?a=1|dashboard>"],
    ["fills a link", "<{{console}}|console>", "<https://console.example.com/?a=1&amp;b=2|console>"],
    ["escapes values", "{{subject}} spent", "&lt;!channel&gt; &amp; co spent"],
    ["lets no value make a mention", "<{{subject}}>", "<&lt;!channel&gt; &amp; co>"],
    ["escapes what is no markup", "a < b & c > d", "a &lt; b &amp; c &gt; d"],
  ] as const)
    it(what, () => assert.deepEqual(slackBody(alertOf("k", { facts }), channelOf("slack", { message })), { text }));
});

it("links lead to the object", () => {
  const links = { console: "https://c.example.com/{{kind}}/{{namespace}}/{{name}}", dashboard: "" };
  const linked = withLinks(alertOf("k", { about: "Budget/a/b" }), links);
  assert.equal(linked.facts["console"], "https://c.example.com/Budget/a/b");
  assert.equal(linked.facts["dashboard"], "");
  assert.equal(linked.text, "text of k https://c.example.com/Budget/a/b");
  assert.equal(withLinks(alertOf("k"), { console: "", dashboard: "" }).text, "text of k");
});

describe("a recipient that the mail server refuses", async () => {
  const { port, mails, close } = await startMailServer({
    authOptional: true,
    onRcptTo: ({ address }, _session, done) =>
      address.startsWith("gone@") ? done(Object.assign(new Error("no such mailbox"), { responseCode: 550 })) : done(),
  });
  after(close);
  const smtp = { host: "127.0.0.1", port, security: "None" as const, from: "sluice@example.com", auth: null };
  const channel = channelOf("email", { to: ["here@example.com", "gone@example.com"] });

  it("is reported, and the others get the mail", async () => {
    const context = { smtp, pagerDutyURL: "", secret: () => null, allowPrivate: true, nowMs: () => 0 };
    assert.deepEqual(await send(alertOf("k"), channel, context), { outcome: "done", refused: ["gone@example.com"] });
    assert.match(mails.at(-1) ?? "", /^here@example\.com\n/);
    assert.match(mails.at(-1) ?? "", /^Auto-Submitted: auto-generated/m);
  });

  it("is named in an Event of the object, and the alert counts as sent", async () => {
    const events: EventsV1ApiCreateNamespacedEventRequest[] = [];
    const results: string[] = [];
    const cluster = { events: { createNamespacedEvent: async (event: never) => void events.push(event) } };
    const due = [pending(alertOf("event"), channel)];
    const loop = new AlertLoop({
      settings: {
        alerts: { links: { console: "", dashboard: "" }, pagerDutyURL: "" },
        privateEndpointNamespaces: ["*"],
      } as unknown as OperatorSettings,
      smtp,
      egress: directEgress,
      books: [{ due: () => due.splice(0), testsDue: () => [] }],
      cluster: cluster as unknown as Cluster,
      metrics: { alert: (type, result) => void results.push(`${type} ${result}`) },
      log: pino({ level: "silent" }),
      leading: () => true,
      changed: () => undefined,
    });
    loop.deliver({} as Compiled, new Map());
    await loop.idle();
    loop.stop();
    assert.deepEqual(results, ["email sent"]);
    assert.deepEqual(
      events.map(({ namespace, body }) => [namespace, body.reason, body.type, body.regarding?.name, body.note]),
      [
        [
          "a",
          "AlertNotDelivered",
          "Warning",
          "b",
          "Alert=False: Threshold (Active) was not sent to gone@example.com (email-1) and will not be retried: the mail server refused the address",
        ],
      ],
    );
  });
});
