/** The chart on a node that has only IPv6. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually } from "../harness/gateway.ts";
import { Builder } from "./images.ts";
import { Installation, system } from "./installation.ts";
import { installNodePackages, KubeNode } from "./node.ts";

describe("an installation on an IPv6-only node", () => {
  let node: KubeNode;
  let release: Installation;
  before(async () => {
    await installNodePackages();
    const images = await (await Builder.open()).build();
    node = await KubeNode.start(images, "ipv6");
    release = new Installation(node, "ipv6");
    await release.startProvider();
    await release.namespace(system);
    await release.namespace("team-a");
  });
  after(async () => {
    release?.stop();
    await node?.stop();
  });

  it("gets ready and answers a call through the Service", async () => {
    await release.helm("install", "operator.privateEndpointNamespaces={team-a}");
    await release.applyTenant();
    const request = { model: "fast", messages: [{ role: "user", content: "hi" }] };
    await eventually(async () => (await release.call("/v1/chat/completions", request)).status === 200);
    assert.match((await release.call("/v1/chat/completions", request)).text, /hello/);
  });
});
