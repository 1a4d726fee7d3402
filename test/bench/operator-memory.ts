/**
 * Prints what memory the operator keeps after whole passes over ApiKeys, in bytes: its heap after a collection,
 * and the size that its young generation has reached. Started with the number of keys.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { growSlowly } from "../../operator/heap.ts";

growSlowly();
const { startPasses } = await import("./operator-pass.ts");
const { benchObject } = await import("./servers.ts");
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const keys = Number(process.argv[2]);

const provider = benchObject("LLMProvider", "provider", {
  type: "OpenAI",
  endpoint: "https://llm.example.com/v1",
  credentials: { secretRef: { name: "provider" } },
  models: [{ name: "gpt-4o" }],
});
const policy = benchObject("RoutingPolicy", "policy", {
  match: { models: ["chat"] },
  routing: { targets: [{ provider: { name: "provider" }, model: "gpt-4o" }] },
});
const keyObjects = Array.from({ length: keys }, (_, index) =>
  benchObject("ApiKey", `key-${index}`, {
    user: `user-${index}@example.com`,
    team: `team-${index % 100}`,
    writeTo: { name: `key-${index}` },
  }),
);
const secrets = new Map(
  ["provider", ...keyObjects.map(({ meta }) => meta.name)].map((name) => [
    `bench/${name}`,
    { apiKey: `slc_${name.padEnd(43, "x")}` },
  ]),
);
const passes = await startPasses([provider, policy, ...keyObjects], secrets);
for (let pass = 0; pass < 4; pass++) await passes.pass();
const young = getHeapSpaceStatistics().find(({ space_name: name }) => name === "new_space")?.space_size ?? 0;
collect();
const { heapUsed } = process.memoryUsage();
process.stdout.write(`${JSON.stringify({ heapUsed, young, rss: process.resourceUsage().maxRSS * 1024 })}\n`);
passes.close();
