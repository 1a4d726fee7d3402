/** A real Prometheus that scrapes what a test runs. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { removeFolder, startChild, temporaryFolder } from "./child.ts";
import { freePort } from "./free-port.ts";
import { ensureDebian } from "./tools.ts";
import { untilReady } from "./until-ready.ts";

interface Sample {
  metric: Readonly<Record<string, string>>;
  value: readonly [number, string];
}

interface Exemplar {
  labels: Readonly<Record<string, string>>;
  value: string;
}

export interface Prometheus {
  readonly url: string;
  /** Result of an instant query. Throws where Prometheus refuses it. */
  query(expr: string): Promise<readonly Sample[]>;
  /** The stored exemplars of all series that the expression names. */
  exemplars(expr: string): Promise<readonly Exemplar[]>;
  stop(): Promise<void>;
}

export const ensurePrometheus = (): Promise<string> => ensureDebian("prometheus", "prometheus");

/** `targets`: URLs that serve `/metrics`. */
export async function startPrometheus(targets: readonly string[]): Promise<Prometheus> {
  const binary = await ensurePrometheus();
  const folder = await temporaryFolder("prometheus");
  const port = await freePort();
  const config = join(folder, "prometheus.yml");
  const scrape = {
    job_name: "sluice",
    honor_labels: true,
    static_configs: [{ targets: targets.map((url) => new URL(url).host) }],
  };
  await writeFile(config, stringify({ global: { scrape_interval: "1s" }, scrape_configs: [scrape] }));
  const args = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--enable-feature=exemplar-storage",
    "--log.level=warn",
  ];
  const child = await startChild(binary, args, { name: "prometheus", logFile: join(folder, "prometheus.log") });
  const url = `http://127.0.0.1:${port}`;
  await untilReady(child, async () => (await fetch(`${url}/-/ready`)).ok, 60_000);
  return {
    url,
    async query(expr) {
      const answer = await fetch(`${url}/api/v1/query`, { method: "POST", body: new URLSearchParams({ query: expr }) });
      const body = (await answer.json()) as { status: string; error?: string; data?: { result: Sample[] } };
      if (body.data === undefined) throw new Error(`${expr}: ${body.error}`);
      return body.data.result;
    },
    async exemplars(expr) {
      const nowSeconds = Date.now() / 1000;
      const asked = new URLSearchParams({
        query: expr,
        start: String(nowSeconds - 3600),
        end: String(nowSeconds + 60),
      });
      const answer = await fetch(`${url}/api/v1/query_exemplars`, { method: "POST", body: asked });
      const body = (await answer.json()) as { error?: string; data?: { exemplars: Exemplar[] }[] };
      if (body.data === undefined) throw new Error(`${expr}: ${body.error}`);
      return body.data.flatMap(({ exemplars }) => exemplars);
    },
    async stop() {
      await child.end("SIGTERM");
      removeFolder(folder);
    },
  };
}
