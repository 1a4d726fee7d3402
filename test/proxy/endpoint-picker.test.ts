/** Pools whose endpoint picker chooses the server: what it is asked and told, and what its failures do. */
import assert from "node:assert/strict";
import { afterEach, before, describe, it } from "node:test";
import type { Activity } from "../../proxy/config/activity.ts";
import type { PickerConfig } from "../../proxy/config/pool.ts";
import { type Authority, certificateAuthority, type Pair } from "../harness/certificates.ts";
import { type Asked, type EndpointPicker, type PickerAnswer, startEndpointPicker } from "../harness/endpoint-picker.ts";
import { eventually, key, policy, provider, secret } from "../harness/gateway.ts";
import { type Proxies, startProxies } from "../harness/proxies.ts";
import { json, openai, startUpstream, type Upstream } from "../harness/upstream.ts";

const alice = "slc_picker_alice_000001";
const credential = "sk-of-the-servers-0001";
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Run {
  servers: Upstream[];
  cloud: Upstream;
  picker: EndpointPicker;
  proxies: Proxies;
  names: string[];
  ask(content?: string, headers?: Record<string, string>, body?: object): Promise<Response>;
  counts(): number[];
  metrics(): Promise<string>;
}

const nameOf = ({ url }: Upstream): string => new URL(url).host;

async function start(
  decide: (names: string[]) => (asked: Asked) => PickerAnswer,
  config: Partial<PickerConfig> = {},
  spec: Record<string, unknown> = {},
  pair?: Pair,
): Promise<Run> {
  const servers = await Promise.all([startUpstream(openai), startUpstream(openai), startUpstream(openai)]);
  const cloud = await startUpstream(openai);
  const names = servers.map(nameOf).sort();
  const picker = await startEndpointPicker(decide(names), pair);
  for (const one of [...servers, cloud, picker]) closing.push(() => one.close());
  const manifests = [
    provider("gpus", servers[0]?.url ?? "", {
      pool: { addresses: names },
      models: [{ name: "m" }],
      retry: { attempts: 2, initialDelay: "1ms" },
      headers: [{ name: "x-gateway-inference-objective", value: "urgent" }],
      ...spec,
    }),
    provider("cloud", cloud.url, { models: [{ name: "m" }] }),
    ...["gpus", "cloud"].map((name) => secret(`${name}-credentials`, { apiKey: credential })),
    policy("all", {
      match: { models: ["m"] },
      routing: { targets: [{ provider: { name: "gpus" } }, { provider: { name: "cloud" }, priority: 2 }] },
    }),
    ...key("alice", alice),
  ];
  const parts = { pool: "llama", addresses: [picker.address], tls: null, timeoutMs: 5_000, failOpen: false, ...config };
  const proxies = await startProxies(1, manifests, [], {}, (rendered) => ({
    ...rendered,
    providers: rendered.providers.map((one) =>
      one.pool === undefined ? one : { ...one, pool: { ...one.pool, picker: parts } },
    ),
  }));
  closing.push(() => proxies.close());
  const { trafficUrl, statusUrl } = proxies.all[0] as Proxies["all"][number];
  return {
    ...{ servers, cloud, picker, proxies, names },
    ask: (content = "Hi", headers = {}, body = {}) =>
      fetch(`${trafficUrl}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${alice}`, "content-type": "application/json", ...headers },
        body: JSON.stringify({ model: "m", messages: [{ role: "user", content }], ...body }),
      }),
    counts: () => names.map((name) => servers.find((server) => nameOf(server) === name)?.requests.length ?? 0),
    metrics: async () => (await fetch(`${statusUrl}/metrics`)).text(),
  };
}

const used = (answer: Response): string | null => answer.headers.get("x-provider-used");

describe("an endpoint picker", () => {
  for (const by of ["header", "metadata"] as const)
    it(`chooses the server of each call, by ${by}, and learns which one answered`, async () => {
      const run = await start((names) => () => ({
        servers: names[1] ?? "",
        by,
        headers: { "X-Prefiller-Host-Port": "10.0.0.9:8000", authorization: "Bearer stolen", host: "evil" },
      }));
      for (let call = 0; call < 3; call++) assert.equal((await run.ask()).status, 200);
      assert.deepEqual(run.counts(), [0, 3, 0]);
      const [server] = run.servers.filter(({ requests }) => requests.length > 0);
      assert.equal(server?.requests[0]?.headers["x-prefiller-host-port"], "10.0.0.9:8000");
      assert.equal(server?.requests[0]?.headers.authorization, `Bearer ${credential}`);
      const [asked] = run.picker.asked;
      assert.equal(asked?.body["model"], "m");
      assert.equal(asked?.headers[":path"], "/v1/chat/completions");
      assert.equal(asked?.headers[":method"], "POST");
      assert.equal(asked?.headers["x-gateway-inference-objective"], "urgent");
      assert.ok(asked?.headers["x-request-id"]);
      assert.equal(asked?.among, null);
      await eventually(() => run.picker.asked.every(({ ended }) => ended));
      assert.deepEqual(asked?.answered, {
        headers: { ":status": "200", "content-type": "application/json" },
        served: run.names[1],
      });
      assert.ok(!JSON.stringify(run.picker.asked).includes(credential), "no credential reaches it");
      assert.ok(!JSON.stringify(run.picker.asked).includes(alice));
      assert.deepEqual(run.picker.wrong, []);
      assert.match(await run.metrics(), /sluice_pool_picks_total\{provider="default\/gpus",outcome="picked"\} 3/);
    });

  it("gets long bodies whole, in pieces, and streams go on", async () => {
    const run = await start((names) => () => ({ servers: names[0] ?? "" }));
    const content = "äöü ".repeat(200_000);
    const answer = await run.ask(content, {}, { stream: true });
    assert.match(await answer.text(), /\[DONE\]/);
    const [asked] = run.picker.asked;
    assert.deepEqual(asked?.body["messages"], [{ role: "user", content }]);
    assert.ok((asked?.pieces ?? 0) > 10);
    assert.deepEqual([run.counts(), run.picker.wrong], [[1, 0, 0], []]);
  });

  it("is asked again for a server that the call has not tried", async () => {
    const run = await start((names) => ({ among }) => ({ servers: among?.join(",") ?? `10.9.9.9:1, ${names[2]}` }));
    run.servers
      .find((server) => nameOf(server) === run.names[2])
      ?.answer((_request, response) => void response.destroy());
    const answer = await run.ask();
    assert.deepEqual([answer.status, used(answer), run.counts()], [200, "gpus", [1, 0, 1]]);
    assert.deepEqual(
      run.picker.asked.map(({ among }) => among),
      [null, run.names.slice(0, 2)],
    );
  });

  it("that knows only other servers is asked to choose among the published ones", async () => {
    const run = await start(() => ({ among }) => ({ servers: among?.[1] ?? "10.9.9.9:8000" }));
    assert.equal((await run.ask()).status, 200);
    assert.deepEqual([run.counts(), run.picker.asked[1]?.among], [[0, 1, 0], run.names]);
  });

  it("refuses calls as a server would: they go to the next target", async () => {
    for (const status of [429, 503]) {
      const run = await start(() => () => ({ status, body: "inference gateway: saturated" }));
      const answer = await run.ask();
      assert.deepEqual([answer.status, used(answer), run.counts()], [200, "cloud", [0, 0, 0]]);
      assert.match(await run.metrics(), /outcome="refused"\} [12]/);
    }
  });

  const failures: Record<string, [(names: string[]) => (asked: Asked) => PickerAnswer, Partial<PickerConfig>, string]> =
    {
      "a gRPC status": [() => () => ({ grpcStatus: 13 }), {}, "picker_failed"],
      "no choice": [() => () => "nothing", {}, "picker_invalid"],
      "what is no message": [() => () => ({ bytes: Buffer.from([0, 0, 0, 0, 2, 0xff, 0xff]) }), {}, "picker_invalid"],
      "a compressed message": [() => () => ({ bytes: Buffer.from([1, 0, 0, 0, 1, 0]) }), {}, "picker_invalid"],
      "a message without end": [
        () => () => ({ bytes: Buffer.from([0, 0xff, 0xff, 0xff, 0xff]) }),
        {},
        "picker_invalid",
      ],
      "a server of somebody else": [() => () => ({ servers: "127.0.0.1:1" }), {}, "picker_invalid"],
      silence: [() => () => "silence", { timeoutMs: 300 }, "picker_timeout"],
      "no connection": [() => () => "nothing", { addresses: ["127.0.0.1:1"] }, "picker_unreachable"],
      "no picker": [() => () => "nothing", { addresses: [] }, "picker_unreachable"],
      "an address that is not allowed": [
        () => () => "nothing",
        { addresses: ["169.254.169.254:80"] },
        "picker_unreachable",
      ],
      "TLS in place of plaintext": [
        () => () => "nothing",
        { tls: { ca: null, serverName: "p.a.svc" } },
        "picker_unreachable",
      ],
    };
  for (const [what, [decide, config, cause]] of Object.entries(failures)) {
    it(`that answers with ${what} fails the attempt (FailClose), with ${cause}`, async () => {
      const run = await start(decide, config);
      const answer = await run.ask();
      assert.deepEqual([answer.status, used(answer), run.counts()], [200, "cloud", [0, 0, 0]]);
      const metrics = await run.metrics();
      assert.match(metrics, /sluice_pool_picks_total\{provider="default\/gpus",outcome="failed"\} [12]/);
      assert.match(metrics, new RegExp(`cause="${cause}"`));
    });
    it(`that answers with ${what} leaves the choice to the proxy (FailOpen)`, async () => {
      const run = await start(decide, { ...config, failOpen: true });
      for (let call = 0; call < 3; call++) assert.equal(used(await run.ask()), "gpus");
      assert.deepEqual(run.counts(), [1, 1, 1]);
      assert.match(await run.metrics(), /outcome="open"\} 3/);
    });
  }

  it("that can't be reached is replaced by the next ready one, and reached again later", async () => {
    const run = await start((names) => () => ({ servers: names[0] ?? "" }), {});
    const dead = await startEndpointPicker(() => "nothing");
    await dead.close();
    const second = await start((names) => () => ({ servers: names[0] ?? "" }), {
      addresses: [dead.address, run.picker.address],
    });
    run.picker.answer(() => ({ servers: second.names[2] ?? "" }));
    assert.equal(used(await second.ask()), "gpus");
    assert.deepEqual(second.counts(), [0, 0, 1]);
  });

  it("counts calls under way at the server that it chose", async () => {
    const run = await start((names) => () => ({ servers: names[0] ?? "" }), {}, {});
    const held: (() => void)[] = [];
    for (const server of run.servers)
      server.answer((request, response) => void held.push(() => void openai(request, response)));
    const waiting = [run.ask(), run.ask()];
    await eventually(() => held.length === 2);
    const status = (await (await fetch(`${run.proxies.all[0]?.statusUrl}/status`)).json()) as {
      providers: { id: string; pods: { pod: string; inFlight: number }[]; picker: object }[];
    };
    const gpus = status.providers.find(({ id }) => id === "default/gpus");
    assert.deepEqual(
      gpus?.pods.map(({ pod, inFlight }) => [pod, inFlight]),
      run.names.map((name, index) => [name, index === 0 ? 2 : 0]),
    );
    assert.deepEqual(gpus?.picker, { pool: "llama", reason: null });
    for (const answer of held) answer();
    for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 200);
  });

  it("learns the status of a server that failed", async () => {
    const run = await start((names) => () => ({ servers: names[0] ?? "" }), {}, { retry: { attempts: 1 } });
    for (const server of run.servers)
      server.answer((_request, response) => json(response, 500, { error: { message: "out of memory" } }));
    assert.equal(used(await run.ask()), "cloud");
    await eventually(() => run.picker.asked[0]?.ended === true);
    assert.equal(run.picker.asked[0]?.answered?.headers[":status"], "500");
  });
});

describe("an endpoint picker behind TLS", () => {
  const name = "epp.models.svc";
  let [authority, other]: Authority[] = [];
  before(async () => {
    [authority, other] = await Promise.all([certificateAuthority("Own CA"), certificateAuthority("Other CA")]);
  });
  const checked = (from: Authority | undefined): Partial<PickerConfig> => ({
    tls: { ca: from?.cert ?? "", serverName: name },
  });
  const both = (): Partial<PickerConfig> => ({ tls: { ca: `${other?.cert}${authority?.cert}`, serverName: name } });
  const unchecked = (): Partial<PickerConfig> => ({ tls: { ca: null, serverName: name } });
  const own = (): Promise<Pair> | undefined => authority?.issue(name);

  const cases: Record<string, [() => Promise<Pair> | undefined, () => Partial<PickerConfig>, string | null]> = {
    "the right name and authority": [own, () => checked(authority), null],
    "an authority among several in the bundle": [own, both, null],
    "its name among several": [() => authority?.issue("epp", "epp.models", name), () => checked(authority), null],
    "another authority": [own, () => checked(other), "is signed by an unknown authority"],
    "another name": [() => authority?.issue("epp.others.svc"), () => checked(authority), "is for another name"],
    "the name in its own address only": [
      () => authority?.issue("127.0.0.1"),
      () => checked(authority),
      "is for another name",
    ],
    "a certificate whose time is over": [() => authority?.issueExpired(name), () => checked(authority), "has expired"],
    "a certificate of its own, which nobody checks": [() => other?.issueExpired("made-at-start"), unchecked, null],
    "no TLS at all": [() => undefined, () => checked(authority), ""],
  };
  for (const [what, [pair, config, why]] of Object.entries(cases))
    it(`with ${what} is ${why === null ? "asked" : "not asked, and its status says why"}`, async () => {
      const run = await start((names) => () => ({ servers: names[2] ?? "" }), config(), {}, await pair());
      const answer = await run.ask();
      assert.deepEqual([answer.status, used(answer)], [200, why === null ? "gpus" : "cloud"]);
      const { statusUrl } = run.proxies.all[0] as Proxies["all"][number];
      const status = (await (await fetch(`${statusUrl}/status`)).json()) as {
        providers: { id: string; picker: { pool: string; reason: string | null } | null }[];
      };
      const { picker } = status.providers.find(({ id }) => id === "default/gpus") ?? {};
      assert.equal(picker?.pool, "llama");
      if (why === null) {
        assert.deepEqual([picker.reason, run.counts(), run.picker.asked.length], [null, [0, 0, 1], 1]);
        return;
      }
      assert.deepEqual(run.picker.asked, [], "nothing is sent to it");
      assert.ok(picker.reason?.includes(why), `${picker.reason}`);
      assert.match(await run.metrics(), /cause="picker_unreachable"/);
    });
});

describe("the server of a call", () => {
  const recorded = async ({ proxies }: Run) => {
    const { statusUrl } = proxies.all[0] as Proxies["all"][number];
    return eventually(async () => {
      const { calls } = (await (await fetch(`${statusUrl}/requests`)).json()) as Activity;
      return calls[0]?.attempts.map(({ server }) => server);
    });
  };
  it("is recorded, with who chose it", async () => {
    const run = await start((names) => () => ({ servers: names[1] ?? "" }));
    await run.ask();
    assert.deepEqual(await recorded(run), [{ address: run.names[1], chosenBy: "Picker" }]);
  });
  it("is the proxy's choice where the picker fails and the pool is FailOpen", async () => {
    const run = await start(() => () => "nothing", { failOpen: true });
    await run.ask();
    const [server] = (await recorded(run)) ?? [];
    assert.equal(server?.chosenBy, "LeastLoad");
    assert.ok(run.names.includes(server.address));
  });
});
