/** A provider's error that repeats the request does not reveal the account's credential to callers or logs. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { key, policy, provider, secret, startGateway } from "../harness/gateway.ts";
import { json, startUpstream } from "../harness/upstream.ts";

const alice = "slc_echoed_alice_0000001";
const credential = 'sk-provider/secret"+0001';

describe("an account's credential", () => {
  for (const status of [400, 404, 422, 429])
    it(`is removed from a provider's error with status ${status}`, async () => {
      const upstream = await startUpstream((request, response) => {
        const message = `bad request; your header was ${String(request.headers["authorization"])}`;
        json(response, status, { error: { message, type: "invalid_request_error", param: credential, code: "x" } });
      });
      const gateway = await startGateway([
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: credential }),
        policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        ...key("alice", alice),
      ]);
      after(async () => {
        await gateway.close();
        await upstream.close();
      });
      const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }),
      });
      const said = await answer.text();
      for (const text of [said, gateway.logText()])
        for (const form of [credential, JSON.stringify(credential).slice(1, -1)])
          assert.ok(!text.includes(form), text.slice(0, 300));
    });

  const named = ["x-request-id", "openai-processing-ms", "openai-version", "x-ratelimit-limit-requests", "retry-after"];
  const headers = Object.fromEntries(named.map((name) => [name, `was ${credential}`]));
  const message = { role: "assistant", content: "Hi" };
  const good = { id: "c", model: "gpt-4o", choices: [{ index: 0, message, finish_reason: "stop" }] };
  const speech = { "content-type": `audio/mpeg; x="${encodeURIComponent(credential)}"` };
  const headed: [what: string, path: string, status: number, type: Record<string, string>, body: string][] = [
    ["an answer", "chat/completions", 200, { "content-type": "application/json" }, JSON.stringify(good)],
    ["an error", "chat/completions", 400, { "content-type": "application/json" }, '{"error":{"message":"bad"}}'],
    ["a rate limit", "chat/completions", 429, { "content-type": "application/json" }, '{"error":{"message":"slow"}}'],
    ["a file", "audio/speech", 200, speech, "ID3"],
    ["a refused object", "files", 400, { "content-type": "application/json" }, '{"error":{"message":"bad"}}'],
  ];
  for (const [what, path, status, type, body] of headed)
    it(`is removed from the headers of ${what}`, async () => {
      const upstream = await startUpstream((_request, response) => {
        response.writeHead(status, { ...headers, ...type });
        response.end(body);
      });
      const gateway = await startGateway([
        provider("up", upstream.url, {
          type: path === "files" ? "OpenAI" : "OpenAICompatible",
          ...(path === "files" ? {} : { options: { surfaces: "Speech" } }),
        }),
        secret("up-credentials", { apiKey: credential }),
        policy("chat", {
          match: { models: ["gpt-4o"] },
          routing: { targets: [{ provider: { name: "up" } }] },
          resources: { provider: { name: "up" } },
        }),
        ...key("alice", alice, { role: "data-scientist" }),
      ]);
      after(async () => {
        await gateway.close();
        await upstream.close();
      });
      const asked =
        path === "audio/speech" ? { input: "Hi", voice: "alloy" } : { messages: [{ role: "user", content: "Hi" }] };
      const upload = new FormData();
      upload.set("purpose", "user_data");
      upload.set("file", new Blob(["Hi"]), "a.txt");
      const json = { "content-type": "application/json" };
      const answer = await fetch(`${gateway.url}/v1/${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${alice}`, ...(path === "files" ? {} : json) },
        body: path === "files" ? upload : JSON.stringify({ model: "gpt-4o", ...asked }),
      });
      assert.equal(upstream.requests.length > 0, true);
      const all = `${JSON.stringify([...answer.headers])} ${await answer.text()} ${gateway.logText()}`;
      for (const form of [credential, JSON.stringify(credential).slice(1, -1), encodeURIComponent(credential)])
        assert.ok(!all.includes(form) && !all.includes(JSON.stringify(form).slice(1, -1)), all.slice(0, 600));
    });

  const chunk = `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "gpt-4o", choices: [{ index: 0, delta: { role: "assistant", content: "Hi" }, finish_reason: null }] })}\n\n`;
  const said = { message: `your header was Bearer ${credential}`, type: "server_error", param: credential, code: "x" };
  const failedResponse = { id: "resp_1", object: "response", status: "failed", error: said, output: [] };
  const created = { type: "response.created", sequence_number: 0, response: { id: "resp_1", status: "in_progress" } };
  const delta = { type: "response.output_text.delta", sequence_number: 1, item_id: "msg_1", delta: "Hi" };
  const failed = { type: "response.failed", sequence_number: 2, response: failedResponse };
  const event = (data: { type: string }): string => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  const rows: [what: string, path: string, type: string, body: string][] = [
    ["a stream's first event", "chat/completions", "text/event-stream", `data: ${JSON.stringify({ error: said })}\n\n`],
    ["a later event", "chat/completions", "text/event-stream", `${chunk}data: ${JSON.stringify({ error: said })}\n\n`],
    ["a Responses stream", "responses", "text/event-stream", event(created) + event(delta) + event(failed)],
    ["an error with status 200", "chat/completions", "application/json", JSON.stringify({ error: said })],
  ];
  for (const [what, path, type, body] of rows)
    it(`is removed from ${what}`, async () => {
      const upstream = await startUpstream((_request, response) => {
        response.writeHead(200, { "content-type": type });
        response.end(body);
      });
      const gateway = await startGateway([
        provider("up", upstream.url),
        secret("up-credentials", { apiKey: credential }),
        policy("chat", { match: { models: ["gpt-4o"] }, routing: { targets: [{ provider: { name: "up" } }] } }),
        ...key("alice", alice),
      ]);
      after(async () => {
        await gateway.close();
        await upstream.close();
      });
      const asked = path === "responses" ? { input: "Hi" } : { messages: [{ role: "user", content: "Hi" }] };
      const answer = await fetch(`${gateway.url}/v1/${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${alice}`, "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt-4o", stream: type !== "application/json", ...asked }),
      });
      const told = await answer.text();
      assert.match(told, /your header was Bearer \[credential\]/);
      for (const text of [told, gateway.logText()])
        for (const form of [credential, JSON.stringify(credential).slice(1, -1)])
          assert.ok(!text.includes(form), text.slice(0, 300));
    });
});
