/** The proxy's stages → the table in docs/architecture.md. */

interface Stage {
  name: string;
  does: string;
  files: readonly string[];
  codes: readonly string[];
  answers?: readonly number[];
}

export function stagesTable(stages: readonly Stage[], statuses: Readonly<Record<string, number>>): string {
  const rows = stages.map(({ name, does, files, codes, answers = [] }) => {
    const numbers = new Set([...answers, ...codes.map((code) => statuses[code] ?? 0)]);
    const [file = ""] = files;
    return `| ${name} | ${[...numbers].sort((a, b) => a - b).join(", ")} | ${does} | \`${file}\` |\n`;
  });
  return `| stage | answers | what it does | below \`proxy/\` |\n| --- | --- | --- | --- |\n${rows.join("")}`;
}
