/** The Gemini provider, called with predictable ids. */

import assert from "node:assert/strict";
import { type ChatMessage, type ChatRequest, isRefusal } from "../../../proxy/dialects/canonical.ts";
import { geminiChat } from "../../../proxy/providers/gemini/request.ts";
import type { ChatCall, ErrorReply } from "../../../proxy/providers/provider.ts";
import type { JsonObject } from "../../../proxy/wire/json.ts";
import { accountOf, hello, modelOf, type Setting } from "./drive.ts";

const endpoint = "https://generativelanguage.googleapis.com/v1beta";

export const geminiSetting = ({ upstream = "gemini-2.5-flash", ...setting }: Setting = {}): Setting => ({
  endpoint,
  upstream,
  ...setting,
});

function counter(): () => string {
  let next = 0;
  return () => `call_${next++}`;
}

export function call(more: Partial<ChatRequest> = {}, given: Setting = {}): ChatCall {
  const setting = geminiSetting(given);
  const request: ChatRequest = { model: "alias", messages: [hello], ...more };
  const made = geminiChat(
    request,
    accountOf(setting),
    modelOf(setting),
    { stream: setting.stream ?? false, deadlineMs: 1000 },
    { newId: counter() },
  );
  assert.ok(!isRefusal(made), JSON.stringify(made));
  return made;
}

export const bodyOf = (more?: Partial<ChatRequest>, setting?: Setting): JsonObject =>
  JSON.parse(call(more, setting).body) as JsonObject;
export const says = (...messages: ChatMessage[]): Partial<ChatRequest> => ({ messages });
export const asked = (id: string, name: string, args: string) => ({
  id,
  type: "function" as const,
  function: { name, arguments: args },
});

export function errorReply(status: number, body: unknown, headers: Record<string, string> = {}): ErrorReply {
  return { status, headers, body, nowMs: 0 };
}
