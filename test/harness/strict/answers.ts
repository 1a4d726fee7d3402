/** One turn of a model, in each provider's own form, with ids and signatures as that provider makes them. */
import { createHash } from "node:crypto";
import type { Json } from "./json.ts";

export interface Turn {
  thinking?: string;
  text?: string;
  calls: { name: string; args: Json }[];
}

const digest = (seed: string): string => createHash("sha256").update(seed).digest("hex");
const signaturePrefix = "c2lnbmVk";

/** A signature of several hundred characters, as Claude and Gemini make them. */
const signatureOf = (seed: string): string => signaturePrefix + Buffer.from(digest(seed).repeat(10)).toString("base64");
export const isSignature = (signature: string): boolean => signature.startsWith(signaturePrefix);

const openAiUsage = { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29 };

function chat(turn: Turn, ids: (at: number) => string | undefined, more: Json = {}): Json {
  const calls = turn.calls.map(({ name, args }, index) => ({
    ...(ids(index) === undefined ? {} : { id: ids(index) }),
    type: "function",
    function: { name, arguments: JSON.stringify(args) },
  }));
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: turn.text ?? null,
          ...(calls.length > 0 ? { tool_calls: calls } : {}),
          ...more,
        },
        finish_reason: calls.length > 0 ? "tool_calls" : "stop",
      },
    ],
    usage: openAiUsage,
  };
}

function responses(turn: Turn, seed: string): Json {
  const id = (prefix: string, at: number): string => `${prefix}_${digest(`${seed}${prefix}${at}`).slice(0, 48)}`;
  return {
    id: `resp_${digest(seed).slice(0, 48)}`,
    object: "response",
    created_at: 1,
    status: "completed",
    model: "m",
    output: [
      ...(turn.thinking === undefined
        ? []
        : [{ id: id("rs", 0), type: "reasoning", summary: [], encrypted_content: `enc-${seed}` }]),
      ...(turn.text === undefined
        ? []
        : [
            {
              id: id("msg", 0),
              type: "message",
              role: "assistant",
              status: "completed",
              content: [{ type: "output_text", text: turn.text, annotations: [] }],
            },
          ]),
      ...turn.calls.map(({ name, args }, index) => ({
        id: id("fc", index),
        type: "function_call",
        status: "completed",
        call_id: `call_${digest(seed + index).slice(0, 24)}`,
        name,
        arguments: JSON.stringify(args),
      })),
    ],
    usage: { input_tokens: 20, output_tokens: 9, total_tokens: 29 },
  };
}

function anthropic(turn: Turn, seed: string): Json {
  return {
    id: `msg_${digest(seed).slice(0, 24)}`,
    type: "message",
    role: "assistant",
    model: "m",
    content: [
      ...(turn.thinking === undefined
        ? []
        : [{ type: "thinking", thinking: turn.thinking, signature: signatureOf(seed) }]),
      ...(turn.text === undefined ? [] : [{ type: "text", text: turn.text }]),
      ...turn.calls.map(({ name, args }, index) => ({
        type: "tool_use",
        id: `toolu_01${digest(seed + index).slice(0, 22)}`,
        name,
        input: args,
      })),
    ],
    stop_reason: turn.calls.length > 0 ? "tool_use" : "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 20, output_tokens: 9 },
  };
}

function converse(turn: Turn, seed: string): Json {
  const reasoningText = { text: turn.thinking, signature: signatureOf(seed) };
  return {
    output: {
      message: {
        role: "assistant",
        content: [
          ...(turn.thinking === undefined ? [] : [{ reasoningContent: { reasoningText } }]),
          ...(turn.text === undefined ? [] : [{ text: turn.text }]),
          ...turn.calls.map(({ name, args }, index) => ({
            toolUse: { toolUseId: `tooluse_${digest(seed + index).slice(0, 22)}`, name, input: args },
          })),
        ],
      },
    },
    stopReason: turn.calls.length > 0 ? "tool_use" : "end_turn",
    usage: { inputTokens: 20, outputTokens: 9, totalTokens: 29 },
    metrics: { latencyMs: 1 },
  };
}

function gemini(turn: Turn, seed: string): Json {
  const parts = [
    ...(turn.thinking === undefined ? [] : [{ text: turn.thinking, thought: true }]),
    ...(turn.text === undefined ? [] : [{ text: turn.text }]),
    ...turn.calls.map(({ name, args }, index) => ({
      functionCall: { name, args },
      ...(index === 0 ? { thoughtSignature: signatureOf(seed) } : {}),
    })),
  ];
  return {
    candidates: [{ content: { role: "model", parts }, finishReason: "STOP", index: 0 }],
    usageMetadata: { promptTokenCount: 20, candidatesTokenCount: 9, totalTokenCount: 29 },
    responseId: "r-1",
    modelVersion: "m",
  };
}

function cohere(turn: Turn, seed: string): Json {
  const calls = turn.calls.map(({ name, args }, index) => ({
    id: `${name}_${digest(seed + index).slice(0, 12)}`,
    type: "function",
    function: { name, arguments: JSON.stringify(args) },
  }));
  return {
    id: "c-1",
    finish_reason: calls.length > 0 ? "TOOL_CALL" : "COMPLETE",
    message: {
      role: "assistant",
      content: [
        ...(turn.thinking === undefined ? [] : [{ type: "thinking", thinking: turn.thinking }]),
        ...(turn.text === undefined ? [] : [{ type: "text", text: turn.text }]),
      ],
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
    usage: { billed_units: { input_tokens: 20, output_tokens: 9 }, tokens: { input_tokens: 20, output_tokens: 9 } },
  };
}

/** Type of provider → its answer. `isResponses`: for OpenAI's newer format. */
export function answerOf(type: string, turn: Turn, seed: string, isResponses: boolean): Json {
  const short = (at: number): string => digest(seed + at).slice(0, 9);
  switch (type) {
    case "Anthropic":
      return anthropic(turn, seed);
    case "Bedrock":
      return converse(turn, seed);
    case "Gemini":
      return gemini(turn, seed);
    case "Cohere":
      return cohere(turn, seed);
    case "Mistral":
      return chat(turn, short);
    case "Watsonx":
      return { ...chat(turn, () => undefined), model_id: "m" };
    case "OpenAICompatible":
      // vLLM's ids are longer than OpenAI accepts.
      return isResponses
        ? responses(turn, seed)
        : chat(turn, (at) => `chatcmpl-tool-${digest(seed + at).slice(0, 32)}`, {
            ...(turn.thinking === undefined ? {} : { reasoning_content: turn.thinking }),
          });
    default:
      return isResponses ? responses(turn, seed) : chat(turn, (at) => `call_${digest(seed + at).slice(0, 24)}`);
  }
}
