/** What the status port shows, and to whom. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { startGateway, type TestGateway } from "../harness/gateway.ts";

const guarded = ["/status", "/usage?from=2027-02-01T00:00:00Z&to=2027-02-02T00:00:00Z", "/budgets", "/nothing"];
const open = ["/livez", "/readyz", "/metrics", "/metrics?name=x"];

describe("the status port", () => {
  const start = async (...flags: string[]): Promise<TestGateway> => {
    const gateway = await startGateway([], flags);
    after(() => gateway.close());
    return gateway;
  };

  it("reveals nothing about callers and spending without its token, unless it listens on loopback", async () => {
    const gateway = await start("--status-host=0.0.0.0");
    const url = gateway.statusUrl.replace("0.0.0.0", "127.0.0.1");
    const printed = gateway.printed.find((line) => line.includes("sst_")) ?? "";
    const token = /sst_[\w-]+/.exec(printed)?.[0] ?? "";
    const ask = async (path: string, headers: Record<string, string> = {}): Promise<number> =>
      (await fetch(`${url}${path}`, { headers })).status;
    for (const path of open) assert.equal(await ask(path), 200, path);
    for (const path of guarded) {
      assert.equal(await ask(path), 401, path);
      assert.equal(await ask(path, { authorization: "Bearer sst_wrong" }), 401, path);
      assert.equal(await ask(path, { "x-sluice-status-token": `${token}x` }), 401, path);
    }
    for (const path of ["//status", "/%73tatus", "/status/", "/livez/../status"])
      assert.ok([401, 404].includes(await ask(path)), path);
    for (const headers of [{ authorization: `Bearer ${token}` }, { "x-sluice-status-token": token }])
      assert.equal(await ask("/status", headers), 200);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    assert.match(metrics, /ai_gateway_status_refused_total\{reason="missing_token"\} [4-9]/);
    assert.match(metrics, /ai_gateway_status_refused_total\{reason="wrong_token"\} 8/);
    await gateway.close();
  });

  it("takes revocations from the operator alone, on loopback as well", async () => {
    const gateway = await start();
    const shown = /sst_[\w-]+/.exec(gateway.printed.join("\n"))?.[0] ?? "";
    for (const headers of [{}, { "x-sluice-status-token": shown }, { "x-sluice-operator-token": shown }])
      for (const path of ["/revocations", "/revocations/standby"]) {
        const body = '{"schemaVersion":1,"id":"x","sender":"me","digests":[]}';
        const answer = await fetch(`${gateway.statusUrl}${path}`, {
          method: "PUT",
          headers: { "content-type": "application/json", ...headers },
          body,
        });
        assert.equal(answer.status, 401);
      }
    const metrics = await (await fetch(`${gateway.statusUrl}/metrics`)).text();
    assert.match(metrics, /ai_gateway_status_refused_total\{reason="not_operator"\} 6/);
    await gateway.close();
  });

  it("needs no token on loopback", async () => {
    const gateway = await start();
    for (const path of guarded.slice(0, 3))
      assert.equal((await fetch(`${gateway.statusUrl}${path}`)).status, 200, path);
    await gateway.close();
  });
});
