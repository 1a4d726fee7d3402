/** The chart on a node that has only IPv6. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually } from "../harness/gateway.ts";
import { type Installation, startInstallation } from "./installation.ts";

describe("an installation on an IPv6-only node", () => {
  let release: Installation;
  before(async () => {
    ({ release } = await startInstallation("ipv6"));
  });
  after(() => release?.stop());

  it("gets ready and answers a call through the Service", async () => {
    await release.helm("install", "operator.privateEndpointNamespaces={team-a}");
    await release.applyTenant();
    const request = { model: "fast", messages: [{ role: "user", content: "hi" }] };
    await eventually(async () => (await release.call("/v1/chat/completions", request)).status === 200);
    assert.match((await release.call("/v1/chat/completions", request)).text, /hello/);
  });
});
