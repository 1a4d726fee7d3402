/** What a call costs under some objects, for tables of what each of them adds. */
import { join } from "node:path";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { type Reading, readingOf, repeatCalls, startAnswering, withProbe } from "./allocation.ts";
import { benchObject, clearKey, startProxy, writeConfig } from "./servers.ts";

const warmUpCalls = 2_500;
const measuredCalls = 2_000;
/** Chunks are handled and sent one by one. */
const eachChunk = ["--stream-pause-ms", "0"];

export type BenchObjects = Parameters<typeof writeConfig>[1];

const price = { inputPerMillion: "2.50", outputPerMillion: "10.00" };

export const provider = (name: string, port: number) =>
  benchObject("LLMProvider", name, {
    type: "OpenAI",
    endpoint: `http://127.0.0.1:${port}/v1`,
    allowPrivateEndpoint: true,
    credentials: { secretRef: { name: "up" } },
    models: [{ name: "gpt-4o", price }],
  });
export const policy = (name: string, models: string[], spec: Record<string, unknown>) =>
  benchObject("RoutingPolicy", name, {
    match: { models },
    routing: { targets: [{ provider: { name: "up-0" } }] },
    ...spec,
  });

/** CPU time of a call in microseconds under these objects, measured in a proxy of its own. */
export async function cpuUsOfCall(objects: (port: number) => BenchObjects, isStream = false): Promise<number> {
  const dir = await temporaryFolder("call-cost");
  const answering = await startAnswering();
  const port = await freePort();
  const folder = join(dir, "config");
  const own = benchObject("ApiKey", "key", { user: "key", writeTo: { name: "key" } });
  await writeConfig(folder, [...objects(answering.port), own], { up: "sk-bench", key: clearKey });
  const child = await startProxy(dir, "", folder, port, await freePort(), withProbe, isStream ? eachChunk : []);
  try {
    await repeatCalls(port, warmUpCalls, isStream);
    const reading = (index: number): Promise<Reading> => readingOf(child, join(dir, "sluice.log"), index);
    const before = await reading(0);
    await repeatCalls(port, measuredCalls, isStream);
    return ((await reading(1)).cpuUs - before.cpuUs) / measuredCalls;
  } finally {
    await child.end();
    answering.server.close();
    removeFolder(dir);
  }
}
