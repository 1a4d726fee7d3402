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
});
