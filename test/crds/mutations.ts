/** Every small change to a spec: each field left out, or with another value in its place. */

export type Step = string | number;

/** Wrong in type, size, range or form for most fields, and right for some. */
const values: unknown[] = [
  undefined,
  null,
  "",
  " ",
  "a",
  "5s",
  "90d",
  "日本",
  "a\nb",
  "x".repeat(40_000),
  0,
  -1,
  1.5,
  1e300,
  2 ** 53,
  true,
  [],
  ["a"],
  {},
  { a: "b" },
];

function paths(value: unknown, at: Step[] = []): Step[][] {
  if (value === null || typeof value !== "object") return [at];
  const members = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [at, ...members.flatMap(([step, member]) => paths(member, [...at, step]))];
}

/** A copy with `value` at the path; undefined removes what is there. */
function put(whole: unknown, [step, ...rest]: Step[], value: unknown): unknown {
  if (step === undefined) return value;
  const copy = (Array.isArray(whole) ? [...whole] : { ...(whole as object) }) as Record<Step, unknown>;
  copy[step] = put(copy[step], rest, value);
  if (copy[step] !== undefined) return copy;
  if (Array.isArray(copy)) copy.splice(Number(step), 1);
  else delete copy[step];
  return copy;
}

export function mutations(spec: unknown): { what: string; spec: unknown }[] {
  return paths(spec).flatMap((path) =>
    values.map((value) => ({
      what: `${path.join(".")} = ${JSON.stringify(value)?.slice(0, 30) ?? "nothing"}`,
      spec: put(spec, path, value),
    })),
  );
}
