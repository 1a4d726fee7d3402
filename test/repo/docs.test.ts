/** What the documentation says is there is there: links, commands and their options, fields of objects, Helm values. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments, parse as parseYaml } from "yaml";
import { type Kind, kinds } from "../../crds/kinds.ts";
import { parseObject, parseSpec } from "../../crds/parse.ts";
import { operatorMetrics } from "../../operator/metrics.ts";
import { failures } from "../../proxy/failure.ts";
import { stages } from "../../proxy/pipeline/stages.ts";
import { run } from "../harness/command.ts";
import { ensureTool } from "../harness/tools.ts";

const root = join(import.meta.dirname, "..", "..");
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const textOf = (page: string): string => readFileSync(join(root, page), "utf8");

interface Block {
  page: string;
  line: number;
  text: string;
}

function blocks(page: string, languages: readonly string[]): Block[] {
  const text = textOf(page);
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
    .filter(([, language = ""]) => languages.includes(language))
    .map((found) => ({ page, line: text.slice(0, found.index).split("\n").length, text: found[2] ?? "" }));
}

/** Without what stands between backticks, such as regular expressions. */
const prose = (page: string): string => textOf(page).replace(/`[^`\n]*`/g, "");

/** As forges make them of headings. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-");

describe("the list of stages", () => {
  const codes = Object.keys(failures);
  const codesIn = (file: string): string[] => {
    const code = readFileSync(join(root, "proxy", file), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    return codes.filter((name) => code.includes(`"${name}"`));
  };
  const files = [...new Set(stages.flatMap((stage) => stage.files))];

  for (const { name, codes: listed, files: own } of stages)
    it(`names no code that the files of "${name}" don't answer`, () => {
      const answered = new Set(own.flatMap(codesIn));
      assert.deepEqual(
        listed.filter((code) => !answered.has(code)),
        [],
      );
    });

  for (const file of files)
    it(`names every code that ${file} answers`, () => {
      const listed = new Set<string>(
        stages.filter((stage) => stage.files.includes(file)).flatMap(({ codes }) => codes),
      );
      assert.deepEqual(
        codesIn(file).filter((code) => !listed.has(code)),
        [],
        `add them to a stage of proxy/pipeline/stages.ts that lists ${file}, then make generate`,
      );
    });
});

describe("links of the documentation", () => {
  for (const page of pages)
    it(`lead somewhere: ${page}`, () => {
      const dead: string[] = [];
      for (const [, target = ""] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [path = "", anchor] = target.split("#");
        const file = path === "" ? page : relative(root, join(root, dirname(page), path));
        const headings = (): string[] =>
          [...textOf(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => anchorOf(heading));
        if (!existsSync(join(root, file)) || (anchor !== undefined && !headings().includes(anchor))) dead.push(target);
      }
      assert.deepEqual(dead, []);
    });

  it("include every page in the README, and every page of a subfolder in that folder's README", () => {
    const unlinked = pages.filter((page) => {
      if (!page.startsWith("docs/")) return false;
      const index = join(dirname(page), "README.md");
      const linked =
        page !== index && existsSync(join(root, index)) ? prose(index).includes(`(${basename(page)})`) : false;
      return !linked && !prose("README.md").includes(`(${page})`);
    });
    assert.deepEqual(unlinked, []);
  });
});

const helps = new Map<string, Promise<string>>();
function helpOf(command: string): Promise<string> {
  const known =
    helps.get(command) ??
    run(process.execPath, [join(root, "cli", "main.ts"), command, "--help"]).then(({ stdout }) => stdout);
  helps.set(command, known);
  return known;
}

/** The words of each command that a page shows, in a block or within a line. */
function commands(page: string): string[] {
  const shown = blocks(page, ["", "sh", "console"]).flatMap(({ text }) => text.split("\n"));
  const inline = [...textOf(page).matchAll(/`(sluice [^`]+)`/g)].map(([, text = ""]) => text);
  return [...shown, ...inline]
    .map((one) => /^\s*(?:\$ )?sluice (.*?)(?:\s+#.*)?$/.exec(one)?.[1])
    .filter((one) => one !== undefined);
}

describe("commands of the documentation", () => {
  for (const page of pages)
    it(`are there, with their options: ${page}`, async () => {
      for (const words of commands(page)) {
        const [command = "", ...rest] = words.split(/\s+/);
        if (!/^[a-z]/.test(command)) continue;
        // Options of the proxy are options of dev.
        const help = (await helpOf(command)) + (command === "dev" ? await helpOf("proxy") : "");
        assert.match(help, new RegExp(`^sluice ${command}`), `${page}: sluice ${words}`);
        for (const [option] of rest.join(" ").matchAll(/(?<=^|[\s[])--?[a-z][a-z-]*/g))
          assert.ok(
            option === "--help" || help.includes(`${option} `) || help.includes(`${option},`),
            `${page}: sluice ${words}: the help has no ${option}`,
          );
      }
    });
});

/** Problems of what is shown in part: what is left out is no mistake. */
function problemsOf(object: Record<string, unknown>): string[] {
  const wrong = (parsed: ReturnType<typeof parseSpec>): string[] =>
    parsed.ok
      ? []
      : parsed.problems
          .map(({ message }) => message)
          .filter((message) => !/ is required| is not set|needs? |set /.test(message));
  const kind = object["kind"];
  if (typeof kind === "string" && Object.hasOwn(kinds, kind))
    return object["apiVersion"] === undefined
      ? wrong(parseSpec(kind as Kind, object["spec"]))
      : strictly(kind as Kind, object);
  if (kind !== undefined || object["spec"] === undefined) return [];
  const each = Object.keys(kinds).map((one) => wrong(parseSpec(one as Kind, object["spec"])));
  return each.some((problems) => problems.length === 0) ? [] : each.flat();
}

function strictly(kind: Kind, object: Record<string, unknown>): string[] {
  const parsed = parseObject(kind, object);
  return parsed.ok ? [] : parsed.problems.map(({ message }) => message);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** Without fields whose value is left out. */
const documents = (text: string): Record<string, unknown>[] =>
  parseAllDocuments(text.replace(/^.*: ….*$/gm, ""))
    .map((one) => one.toJS() as unknown)
    .filter(isObject);

/** Of the README's block of commands, what is piped into kubectl. */
const piped = (text: string): string => /<<'YAML'\n([\s\S]*?)\nYAML/.exec(text)?.[1] ?? "";

describe("objects of the documentation", () => {
  const shown = pages.flatMap((page) => [
    ...blocks(page, ["yaml"]),
    ...blocks(page, [""]).map((one) => ({ ...one, text: piped(one.text) })),
  ]);
  for (const { page, line, text } of shown.filter((one) => /^(kind|spec):/m.test(one.text)))
    it(`have fields that are there: ${page}:${line}`, () => assert.deepEqual(documents(text).flatMap(problemsOf), []));
});

/** Names of other software, and parts of longer names. */
const foreignNames = new Set([
  "any_v1alpha1",
  "container_cpu_cfs_throttled_periods_total",
  "evicted_keys",
  "serviceAccountTokenCreator",
  "vVERSION",
]);

describe("names in the documentation", () => {
  const code = ["proxy", "operator", "cli", "crds", "charts", "test", "examples"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter(
        (entry) => entry.name !== basename(import.meta.filename) && /\.(ts|tsx|yaml|json|tpl|lua|py)$/.test(entry.name),
      )
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8")),
  );
  const words = new Set(code.flatMap((text) => text.match(/\w+/g) ?? []));

  // Error codes, metrics, labels and fields: with an underscore, or in camelCase.
  for (const page of pages)
    it(`occur in the code: ${page}`, () => {
      const names = [...textOf(page).matchAll(/`([^`\n]+)`/g)].flatMap(
        ([, quoted = ""]) => quoted.match(/\b[A-Za-z][A-Za-z0-9]*(?:_[a-z0-9]+)+\b|\b[a-z]+[A-Z][A-Za-z]+\b/g) ?? [],
      );
      assert.deepEqual(
        names.filter((name) => !words.has(name) && !foreignNames.has(name)),
        [],
      );
    });
});

describe("Helm values of the documentation", () => {
  const chart = join(root, "charts", "sluice");
  const names = Object.keys(parseYaml(readFileSync(join(chart, "values.yaml"), "utf8")) as object);
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-docs-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const shown = pages.flatMap((page) => blocks(page, ["yaml"]));
  const values = shown.filter(
    ({ text }) =>
      documents(text).every((one) => Object.keys(one).every((name) => names.includes(name))) &&
      documents(text).length > 0,
  );
  for (const { page, line, text } of values)
    it(`are taken by the chart: ${page}:${line}`, async () => {
      const file = join(folder, `${page.replaceAll("/", "-")}-${line}.yaml`);
      await writeFile(file, text);
      // The store is what most of them need, and another page says.
      const args = [
        "template",
        "--api-versions=monitoring.coreos.com/v1",
        "sluice",
        chart,
        "--namespace",
        "sluice-system",
        "--set",
        "state.url=redis://valkey:6379",
        "-f",
        file,
      ];
      const done = await run(await ensureTool("helm"), args, { env: { ...process.env, HOME: folder } });
      assert.equal(done.code, 0, done.stderr);
    });

  it("are shown at all", () => assert.ok(values.length >= 5));
});

describe("docs/errors.md", () => {
  const rows = new Map(
    [
      ...textOf("docs/errors.md").matchAll(/^\| `([a-z0-9_]+)` \| (\d+) \| (\w+) \| (\w+) \| ([a-z ]+) \| (.+) \|$/gm),
    ].map(([, code = "", ...cells]) => [code, cells]),
  );
  const retries = new Map<boolean | null, string>([
    [true, "yes"],
    [false, "no"],
    [null, "by status"],
  ]);

  it("has every code, and no other", () => assert.deepEqual([...rows.keys()].sort(), Object.keys(failures).sort()));

  for (const [code, { status, type, blame, retry }] of Object.entries(failures))
    it(`says of ${code} what the gateway does, and what it means`, () => {
      const [meaning = "", ...told] = [...(rows.get(code) ?? [])].reverse();
      assert.deepEqual(told.reverse(), [String(status), type, blame, retries.get(retry)]);
      assert.ok(meaning.length > 15);
    });
});

it("docs/architecture.md has a row for every room of the code", () => {
  const rooms = ["operator", "proxy", "cli"].flatMap((house) =>
    readdirSync(join(root, house), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [`${house}/${entry.name}`] : [],
    ),
  );
  assert.ok(rooms.length > 30, String(rooms.length));
  const rows = textOf("docs/architecture.md")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  assert.deepEqual(
    rooms.filter((room) => !rows.some((row) => row.includes(`\`${room}\``))),
    [],
  );
});

it("every metric of the operator is in the documentation", async () => {
  const names = (await operatorMetrics().registry.getMetricsAsJSON())
    .map(({ name }) => name)
    .filter((name) => !/^(nodejs|process)_/.test(name));
  const text = pages.map(textOf).join("\n");
  assert.ok(names.length > 5);
  assert.deepEqual(
    names.filter((name) => !text.includes(name)),
    [],
  );
});
