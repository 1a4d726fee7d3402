/**
 * `sluice similarity`: how similar an embeddings model finds pairs of questions, and which threshold separates those that
 * must not share an answer.
 */

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { z } from "zod";
import { literals } from "../proxy/cache/question.ts";
import { cosine, normalised } from "../proxy/cache/vectors.ts";
import { nounCount } from "../proxy/config/noun-count.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { egressFetch } from "./egress-fetch.ts";

const similarityUsage = `sluice similarity FILE: choose the threshold of a semantic cache (docs/caching.md)

The file has one pair of questions per line, in three fields separated by tabs:
  same<TAB>How do I reset my password?<TAB>I forgot my password
  other<TAB>How do I enable it?<TAB>How do I disable it?
same: the pair may share an answer. other: it must not. Lines that begin with # are ignored; - reads standard input.

  --model NAME       the model for embeddings, as the gateway serves it
  --url URL          the gateway (default http://127.0.0.1:8080)
  --threshold T      fail if a pair that must not share an answer reaches it, for use in CI
  -o, --output FORMAT  table (default) or json

The API key is read from SLUICE_API_KEY.`;

interface Pair {
  kind: "same" | "other";
  texts: [string, string];
}

interface Measured extends Pair {
  similarity: number;
  /** A figure or an address differs, so the gateway never serves the answer of one for the other. */
  apart: boolean;
}

/** Distance above the nearest pair that must not share an answer. */
const margin = 0.01;
const maxPairs = 10_000;
/** Batch size: fewer inputs than any provider accepts at once. */
const batch = 64;

export function parsePairs(text: string): Pair[] {
  const pairs: Pair[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const [kind, first = "", two = "", ...more] = line.split("\t").map((field) => field.trim());
    if ((kind !== "same" && kind !== "other") || first === "" || two === "" || more.length > 0)
      throw new Error(`line ${index + 1}: write same or other, a question, and a question, separated by tabs`);
    pairs.push({ kind, texts: [first, two] });
  }
  if (pairs.length === 0) throw new Error("there is no pair in the file");
  if (pairs.length > maxPairs)
    throw new Error(`there are ${nounCount(pairs.length, "pair")} in the file; at most ${maxPairs} are measured`);
  return pairs;
}

const reply = z.object({ data: z.array(z.object({ index: z.int().min(0), embedding: z.array(z.number()) })) });
const refused = z.object({ error: z.object({ message: z.string() }) });

async function embedded(url: string, key: string, model: string, input: string[]): Promise<Float32Array[]> {
  const response = await egressFetch(`${url.replace(/\/+$/, "")}/v1/embeddings`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model, input }),
    redirect: "error",
    signal: AbortSignal.timeout(60_000),
  }).catch((cause: unknown) => {
    throw new Error(`no answer from ${url}: ${cause instanceof Error ? cause.message : String(cause)}`);
  });
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok)
    throw new Error(
      `${url} answered ${response.status}: ${refused.safeParse(body).data?.error.message ?? "no reason given"}`,
    );
  const parsed = reply.safeParse(body);
  const vectors = input.map((_, index) =>
    normalised(parsed.data?.data.find((vector) => vector.index === index)?.embedding ?? []),
  );
  if (vectors.includes(null)) throw new Error(`${url} answered without a vector for each question`);
  return vectors as Float32Array[];
}

async function measure(pairs: readonly Pair[], url: string, key: string, model: string): Promise<Measured[]> {
  const texts = [...new Set(pairs.flatMap((pair) => pair.texts))];
  const vectors = new Map<string, Float32Array>();
  for (let offset = 0; offset < texts.length; offset += batch) {
    const some = texts.slice(offset, offset + batch);
    for (const [index, vector] of (await embedded(url, key, model, some)).entries())
      vectors.set(some[index] ?? "", vector);
  }
  const vectorOf = (text: string): Float32Array => vectors.get(text) ?? new Float32Array();
  return pairs
    .map(({ kind, texts: [text, two] }): Measured => {
      const apart = JSON.stringify(literals(text)) !== JSON.stringify(literals(two));
      return { kind, texts: [text, two], similarity: cosine(vectorOf(text), vectorOf(two)), apart };
    })
    .sort((a, b) => b.similarity - a.similarity);
}

export interface Advice {
  /** Formatted as in a policy; null if no threshold separates the pairs. */
  threshold: string | null;
  /** The highest similarity among pairs that must not share an answer; null if there are none. */
  nearestOther: number | null;
  served: number;
  same: number;
}

export function advise(pairs: readonly Measured[]): Advice {
  const compared = pairs.filter((pair) => !pair.apart);
  const others = compared.filter((pair) => pair.kind === "other").map((pair) => pair.similarity);
  const nearestOther = others.length === 0 ? null : Math.max(...others);
  // Rounded up, because rounding down would reduce the margin.
  const wanted =
    nearestOther === null ? null : Math.max(0.5, Math.ceil((nearestOther + margin) * 1_000 - 1e-6) / 1_000);
  const threshold = wanted === null || wanted > 1 ? null : wanted;
  const same = pairs.filter((pair) => pair.kind === "same");
  const served = threshold === null ? 0 : same.filter((pair) => !pair.apart && pair.similarity >= threshold).length;
  return { threshold: threshold === null ? null : String(threshold), nearestOther, served, same: same.length };
}

function sentence({ threshold, nearestOther, served, same }: Advice): string {
  if (nearestOther === null)
    return "No threshold can be determined: add pairs that must not share an answer, the more alike the better.";
  if (threshold === null) return "No threshold keeps these pairs apart: don't compare by meaning with this model.";
  const least = served === 0 ? " That leaves nothing: don't compare by meaning with this model." : "";
  return `threshold: "${threshold}" lies ${margin} above the nearest pair that must not share an answer, and serves ${served} of ${same} pairs that may.${least}`;
}

function table(pairs: readonly Measured[]): string {
  const lines = pairs.map(({ similarity, kind, texts, apart }) =>
    [
      similarity.toFixed(4),
      kind.padEnd(5),
      `${texts[0]} | ${texts[1]}${apart ? "   (never: a figure or address differs)" : ""}`,
    ].join("   "),
  );
  return ["SIMILARITY   PAIR", ...lines].join("\n");
}

async function read(file: string): Promise<string> {
  if (file !== "-") return readFile(file, "utf8");
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function wanted(text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!/^[0-9.]+$/.test(text) || !(value >= 0.5 && value <= 1))
    throw new UsageError(`--threshold must be a number from 0.5 to 1, not ${text}`);
  return value;
}

export async function runSimilarity(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      model: { type: "string" },
      url: { type: "string", default: "http://127.0.0.1:8080" },
      threshold: { type: "string" },
      output: { type: "string", short: "o", default: "table" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    process.stdout.write(`${similarityUsage}\n`);
    return;
  }
  const [file] = positionals;
  const key = env["SLUICE_API_KEY"] ?? "";
  if (file === undefined || positionals.length > 1)
    throw new UsageError("name one file of pairs; --help shows its form");
  if (values.model === undefined) throw new UsageError("--model names the model for embeddings");
  if (!["table", "json"].includes(values.output))
    throw new UsageError(`--output must be table or json, not ${values.output}`);
  if (key === "") throw new UsageError("set SLUICE_API_KEY to a key of a policy that serves the model");
  const limit = wanted(values.threshold);
  const pairs = await measure(parsePairs(await read(file)), values.url, key, values.model);
  const advice = advise(pairs);
  process.stdout.write(
    values.output === "json"
      ? `${JSON.stringify({ pairs, ...advice }, null, 2)}\n`
      : `${table(pairs)}\n\n${sentence(advice)}\n`,
  );
  const wrong =
    limit === null ? [] : pairs.filter((pair) => pair.kind === "other" && !pair.apart && pair.similarity >= limit);
  if (wrong.length > 0)
    throw new Error(`not to share an answer, but as similar as ${limit} or more: ${nounCount(wrong.length, "pair")}`);
}
