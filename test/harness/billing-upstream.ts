/**
 * A stand-in for a paid API that keeps its own bill, whatever the gateway makes of it: it charges each request that it
 * was sent, for what it had produced when the connection closed. What goes wrong is asked for in the member `user`, as
 * `<fault>:<id of the call>`; the id distinguishes attempts at one call.
 */
import type { ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { json, startUpstream, type Upstream, type UpstreamRequest } from "./upstream.ts";

/** nano-USD for a token. */
export const tokenPrices = { input: 2_500, output: 10_000 };
/** The same in a manifest. */
export const manifestPrice = { inputPerMillion: "2.5", outputPerMillion: "10" };

export interface BilledAttempt {
  fault: string;
  call: string;
  nanoUsd: number;
}

export interface Biller {
  upstream: Upstream;
  attempts: BilledAttempt[];
  /** Requests whose answer is still being made. */
  readonly open: number;
}

const word = "tokens ";
const tokensPerWord = 2;

/** How a fault changes an answer; `attempt` counts from 1 for each call. */
export type Script = (answer: BilledAnswer, attempt: number) => Promise<void>;

export class BilledAnswer {
  readonly response: ServerResponse;
  readonly #body: Record<string, unknown>;
  readonly words: number;
  readonly promptTokens: number;
  readonly #charged: (nanoUsd: number) => void;

  constructor(asked: UpstreamRequest, response: ServerResponse, words: number, charged: (nanoUsd: number) => void) {
    this.response = response;
    this.#body = asked.json;
    this.words = words;
    this.#charged = charged;
    const messages = (asked.json["messages"] ?? []) as { content: string }[];
    this.promptTokens = 9 + messages.reduce((sum, { content }) => sum + Math.ceil(content.length / 3), 0);
  }

  get stream(): boolean {
    return this.#body["stream"] === true;
  }

  charge(words: number): void {
    this.#charged(this.promptTokens * tokenPrices.input + words * tokensPerWord * tokenPrices.output);
  }

  get usage(): Record<string, number> {
    const completion = this.words * tokensPerWord;
    return {
      prompt_tokens: this.promptTokens,
      completion_tokens: completion,
      total_tokens: this.promptTokens + completion,
    };
  }

  get whole(): string {
    const message = { role: "assistant", content: word.repeat(this.words), refusal: null };
    return JSON.stringify({
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 1,
      model: this.#body["model"],
      choices: [{ index: 0, message, logprobs: null, finish_reason: "stop" }],
      usage: this.usage,
    });
  }

  frame(choices: unknown[], more: object = {}): string {
    const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: this.#body["model"] };
    return `data: ${JSON.stringify({ ...head, choices, ...more })}\n\n`;
  }

  /** Streams this many words, one at a time; fewer where the connection closes. Gives how many it made. */
  async say(words: number, pauseMs = 1): Promise<number> {
    const { response } = this;
    if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
    for (let made = 0; made < words; made++) {
      if (response.destroyed) return made;
      response.write(this.frame([{ index: 0, delta: { content: word }, finish_reason: null }]));
      await sleep(pauseMs);
    }
    return words;
  }

  finish(): void {
    this.response.write(this.frame([{ index: 0, delta: {}, finish_reason: "stop" }]));
  }

  endStream(): void {
    this.response.end(`${this.frame([], { usage: this.usage })}data: [DONE]\n\n`);
  }
}

/** As it should be. */
export const answered: Script = async (answer) => {
  if (!answer.stream) {
    answer.charge(answer.words);
    answer.response.writeHead(200, { "content-type": "application/json" }).end(answer.whole);
    return;
  }
  const made = await answer.say(answer.words);
  answer.charge(made);
  if (answer.response.destroyed) return;
  answer.finish();
  answer.endStream();
};

export const refusedOnce: Script = async (answer, attempt) => {
  if (attempt > 1) return answered(answer, attempt);
  json(answer.response, 503, { error: { message: "overloaded", type: "server_error" } });
};

/**
 * `words`: how many an answer has, by the id of the call and its attempt, whatever order requests arrive in.
 * `scripts`: what each fault does.
 */
export async function startBilling(
  scripts: Readonly<Record<string, Script>>,
  words: (call: string, attempt: number) => number,
): Promise<Biller> {
  const attempts: BilledAttempt[] = [];
  const seen = new Map<string, number>();
  let open = 0;
  const upstream = await startUpstream(async (asked, response) => {
    const [fault = "", call = ""] = String(asked.json["user"] ?? ":").split(":");
    const attempt = (seen.get(call) ?? 0) + 1;
    seen.set(call, attempt);
    open++;
    try {
      const charged = (nanoUsd: number): number => attempts.push({ fault, call, nanoUsd });
      const answer = new BilledAnswer(asked, response, words(call, attempt), charged);
      await (scripts[fault] ?? answered)(answer, attempt);
    } finally {
      open--;
    }
  });
  return {
    upstream,
    attempts,
    get open() {
      return open;
    },
  };
}
