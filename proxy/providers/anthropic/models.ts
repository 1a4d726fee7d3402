/**
 * Claude models (https://platform.claude.com/docs/en/about-claude/models), by family and version, under the names of
 * Anthropic, Bedrock and other clouds: claude-opus-4-7, claude-3-5-haiku-20241022, us.anthropic.claude-sonnet-4-5-….
 */
import type { ModelFacts, ThinkingKind } from "../model-facts.ts";

interface Version {
  family: string;
  /** 4.5 is 405, so that 4.10 comes after it. */
  version: number;
}

const newer = /claude-([a-z]+)-(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/;
const older = /claude-(\d)(?:[-.](\d))?-([a-z]+)/;

function versionOf(upstream: string): Version | null {
  const old = older.exec(upstream);
  if (old !== null) return { family: old[3] ?? "", version: Number(old[1]) * 100 + Number(old[2] ?? 0) };
  const match = newer.exec(upstream);
  return match && { family: match[1] ?? "", version: Number(match[2]) * 100 + Number(match[3] ?? 0) };
}

function maxOutput({ family, version }: Version): number {
  if (version < 305) return 4_096;
  if (version < 307) return 8_192;
  if (version < 405) return family === "opus" ? 32_000 : 64_000;
  return version >= 407 || (version === 406 && family === "opus") ? 128_000 : 64_000;
}

/** The first version of each family whose thinking can't be switched off. */
function alwaysThinks({ family, version }: Version): boolean {
  return version >= (family === "fable" ? 501 : 505);
}

function thinkingOf(model: Version): readonly ThinkingKind[] {
  if (model.version < 307) return [];
  if (model.version < 406) return ["enabled", "disabled"];
  if (model.version < 407) return ["adaptive", "enabled", "disabled"];
  if (!alwaysThinks(model)) return ["adaptive", "disabled"];
  return model.family === "sonnet" ? ["adaptive", "between_tools"] : ["adaptive"];
}

const unknown: ModelFacts = {};

export function claudeFacts(upstream: string): ModelFacts {
  const model = versionOf(upstream);
  if (model === null) return unknown;
  const { family, version } = model;
  return {
    maxOutput: maxOutput(model),
    thinking: thinkingOf(model),
    jsonSchema: version >= 405 || (family === "opus" && version === 401),
    // https://platform.claude.com/docs/en/build-with-claude/effort
    effort: version >= 406 || (version === 405 && family === "opus"),
    ...(version >= 407 ? { sampling: false, hidesThinking: true } : {}),
  };
}
