/** Receivers of OTLP: one that decodes as OpenTelemetry's Collector does and refuses what it can't, and a Collector. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Pair } from "./certificates.ts";
import { type Child, removeFolder, startChild, temporaryFolder } from "./child.ts";
import { freePort } from "./free-port.ts";
import { ensureTool } from "./tools.ts";
import { untilReady } from "./until-ready.ts";

type Value = {
  stringValue?: string;
  intValue?: string;
  doubleValue?: number;
  boolValue?: boolean;
  arrayValue?: { values: Value[] };
};

interface KeyValue {
  key: string;
  value: Value;
}

type Plain = string | number | boolean | Plain[];

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  traceState: string;
  name: string;
  kind: number;
  startMs: number;
  endMs: number;
  status: { code?: number; message?: string };
  attributes: Readonly<Record<string, Plain>>;
}

export interface ReceivedPoint {
  name: string;
  unit: string;
  attributes: Readonly<Record<string, Plain>>;
  /** Of a histogram; else null. */
  count: number | null;
  sum: number;
  bounds: readonly number[];
}

export interface OtlpReceiver {
  readonly url: string;
  /** The same, by gRPC. */
  readonly grpcUrl: string;
  /** Everything that it has received, as its own JSON. */
  text(): string;
  spans(): ReceivedSpan[];
  /** Points of the last export of metrics. */
  points(): ReceivedPoint[];
  /** A crash; `startAgain` is on the same port. */
  kill(): Promise<void>;
  startAgain(): Promise<void>;
  stop(): Promise<void>;
}

const plain = ({ stringValue, intValue, doubleValue, boolValue, arrayValue }: Value): Plain =>
  stringValue ??
  (intValue === undefined ? undefined : Number(intValue)) ??
  doubleValue ??
  boolValue ??
  arrayValue?.values.map(plain) ??
  "";
const plainAttributes = (list: readonly KeyValue[] = []) =>
  Object.fromEntries(list.map(({ key, value }) => [key, plain(value)]));
const msOf = (nano: string): number => Number(BigInt(nano) / 1000n) / 1000;

interface TracesJson {
  resourceSpans?: {
    scopeSpans: {
      spans: (Omit<ReceivedSpan, "attributes"> & {
        startTimeUnixNano: string;
        endTimeUnixNano: string;
        attributes?: KeyValue[];
      })[];
    }[];
  }[];
}

interface PointJson {
  attributes?: KeyValue[];
  count?: string;
  sum?: number;
  asInt?: string;
  asDouble?: number;
  explicitBounds?: number[];
}

interface MetricsJson {
  resourceMetrics?: {
    scopeMetrics: {
      metrics: {
        name: string;
        unit?: string;
        sum?: { dataPoints: PointJson[] };
        histogram?: { dataPoints: PointJson[] };
      }[];
    }[];
  }[];
}

function spansIn({ resourceSpans = [] }: TracesJson): ReceivedSpan[] {
  return resourceSpans.flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        parentSpanId: span.parentSpanId ?? "",
        traceState: span.traceState ?? "",
        status: span.status ?? {},
        startMs: msOf(span.startTimeUnixNano),
        endMs: msOf(span.endTimeUnixNano),
        attributes: plainAttributes(span.attributes),
      })),
    ),
  );
}

function pointsIn({ resourceMetrics = [] }: MetricsJson): ReceivedPoint[] {
  return resourceMetrics.flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(
        ({ name, unit = "", sum, histogram }) =>
          (histogram ?? sum)?.dataPoints.map((point) => ({
            name,
            unit,
            attributes: plainAttributes(point.attributes),
            count: point.count === undefined ? null : Number(point.count),
            sum: point.sum ?? point.asDouble ?? Number(point.asInt ?? 0),
            bounds: point.explicitBounds ?? [],
          })) ?? [],
      ),
    ),
  );
}

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    }).on("error", () => resolve(false));
  });

export interface OtlpReceiverOptions {
  /** Without it, the receiver speaks no TLS. */
  tls?: Pair;
  /** The only `authorization` that it accepts. */
  authorization?: string;
}

export async function startOtlpReceiver({ tls, authorization = "" }: OtlpReceiverOptions = {}): Promise<OtlpReceiver> {
  const binary = await ensureTool("otlp-receiver");
  const folder = await temporaryFolder("otlp");
  const logFile = join(folder, "received.jsonl");
  const [port, grpcPort] = [await freePort(), await freePort()];
  const args = [String(port), String(grpcPort)];
  if (tls !== undefined) {
    const files = [join(folder, "tls.crt"), join(folder, "tls.key")] as const;
    await Promise.all([writeFile(files[0], tls.cert), writeFile(files[1], tls.key)]);
    args.push(...files);
  }
  const env = { ...process.env, OTLP_AUTHORIZATION: authorization };
  const scheme = tls === undefined ? "http" : "https";
  const urls = { url: `${scheme}://127.0.0.1:${port}`, grpcUrl: `${scheme}://127.0.0.1:${grpcPort}` };
  return receiving(urls, { folder, logFile }, () => startChild(binary, args, { name: "otlp-receiver", logFile, env }));
}

/** With the memory limiter and the batch processor in its pipelines. */
export async function startCollector(): Promise<OtlpReceiver> {
  const binary = await ensureTool("otel-collector");
  const folder = await temporaryFolder("collector");
  const logFile = join(folder, "received.jsonl");
  const [port, grpcPort] = [await freePort(), await freePort()];
  const pipeline = { receivers: ["otlp"], processors: ["memory_limiter", "batch"], exporters: ["print"] };
  const config = {
    receivers: {
      otlp: {
        protocols: { http: { endpoint: `127.0.0.1:${port}` }, grpc: { endpoint: `127.0.0.1:${grpcPort}` } },
      },
    },
    processors: { memory_limiter: { check_interval: "1s", limit_mib: 256 }, batch: { timeout: "100ms" } },
    exporters: { print: {} },
    service: {
      pipelines: { traces: pipeline, metrics: pipeline },
      telemetry: { metrics: { level: "none" }, logs: { level: "warn" } },
    },
  };
  const file = join(folder, "collector.yaml");
  await writeFile(file, stringify(config));
  const urls = { url: `http://127.0.0.1:${port}`, grpcUrl: `http://127.0.0.1:${grpcPort}` };
  return receiving(urls, { folder, logFile }, () =>
    startChild(binary, [`--config=${file}`], { name: "otel-collector", logFile }),
  );
}

async function receiving(
  urls: Pick<OtlpReceiver, "url" | "grpcUrl">,
  { folder, logFile }: { folder: string; logFile: string },
  start: () => Promise<Child>,
): Promise<OtlpReceiver> {
  const ports = [urls.url, urls.grpcUrl].map((url) => Number(new URL(url).port));
  const launch = async (): Promise<Child> => {
    const child = await start();
    await untilReady(child, async () => (await Promise.all(ports.map(answers))).every(Boolean), 60_000);
    return child;
  };
  let child = await launch();
  const text = (): string => readFileSync(logFile, "utf8");
  const received = (): (TracesJson & MetricsJson & { error?: string })[] =>
    text()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => {
        const parsed = JSON.parse(line) as TracesJson & MetricsJson & { error?: string };
        if (parsed.error !== undefined) throw new Error(`the collector can't decode: ${parsed.error}`);
        return parsed;
      });
  return {
    ...urls,
    text,
    spans: () => received().flatMap(spansIn),
    points: () => pointsIn(received().findLast(({ resourceMetrics }) => resourceMetrics !== undefined) ?? {}),
    kill: () => child.end("SIGKILL"),
    async startAgain() {
      child = await launch();
    },
    async stop() {
      await child.end("SIGTERM");
      removeFolder(folder);
    },
  };
}
