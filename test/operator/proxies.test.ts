import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { V1EndpointSlice } from "@kubernetes/client-node";
import { statusUrls } from "../../operator/cluster/proxies.ts";

const slice = (part: Partial<V1EndpointSlice>): V1EndpointSlice => ({
  addressType: "IPv4",
  endpoints: [],
  ports: [{ port: 9090 }],
  ...part,
});

describe("where the proxies are", () => {
  const rows: { name: string; slices: V1EndpointSlice[]; expected: string[] }[] = [
    {
      name: "every ready endpoint counts",
      slices: [
        slice({ endpoints: [{ addresses: ["10.0.0.2"] }, { addresses: ["10.0.0.1"], conditions: { ready: true } }] }),
      ],
      expected: ["http://10.0.0.1:9090", "http://10.0.0.2:9090"],
    },
    {
      name: "one that is not ready does not",
      slices: [slice({ endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready: false } }] })],
      expected: [],
    },
    {
      name: "one in two slices counts once",
      slices: [
        slice({ endpoints: [{ addresses: ["10.0.0.1"] }] }),
        slice({ endpoints: [{ addresses: ["10.0.0.1"] }] }),
      ],
      expected: ["http://10.0.0.1:9090"],
    },
    {
      name: "IPv6 addresses are bracketed",
      slices: [slice({ addressType: "IPv6", endpoints: [{ addresses: ["2001:db8::1"] }] })],
      expected: ["http://[2001:db8::1]:9090"],
    },
    {
      name: "a slice without a port has none",
      slices: [slice({ ports: [], endpoints: [{ addresses: ["10.0.0.1"] }] })],
      expected: [],
    },
  ];
  for (const { name, slices, expected } of rows) {
    it(name, () => assert.deepEqual(statusUrls(slices), expected));
  }
});
