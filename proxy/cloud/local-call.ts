/**
 * Calls to the services that a node offers its Pods at link-local addresses, which no provider's endpoint may lead to.
 * The addresses are fixed, or come from the Pod's own environment; no object of a tenant has a part in them.
 */
import { request as httpRequest } from "node:http";
import { BlockList, isIP } from "node:net";
import type { CloudAnswer, CloudRequest } from "./ambient.ts";

const timeoutMs = 5_000;
const maxBytes = 65_536;

/**
 * The EKS Pod Identity agent, the metadata servers, and loopback:
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 */
const onNode = new BlockList();
for (const address of ["169.254.169.254", "169.254.170.2", "169.254.170.23"]) onNode.addAddress(address, "ipv4");
for (const address of ["fd00:ec2::23", "fd00:ec2::254", "::1"]) onNode.addAddress(address, "ipv6");
onNode.addSubnet("127.0.0.0", 8, "ipv4");

const names: ReadonlySet<string> = new Set(["localhost", "metadata.google.internal"]);

export function isOnNode(url: string): boolean {
  const parsed = URL.parse(url);
  if (parsed === null || parsed.protocol !== "http:") return false;
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  const family = isIP(host);
  return family === 0 ? names.has(host) : onNode.check(host, family === 6 ? "ipv6" : "ipv4");
}

/** Follows no redirects and uses no HTTP proxy. */
export function localCall(url: string, { method, headers, body }: CloudRequest): Promise<CloudAnswer> {
  return new Promise((resolve, reject) => {
    if (!isOnNode(url)) {
      reject(Object.assign(new Error("not an address on the node"), { code: "ESLUICEDESTINATION" }));
      return;
    }
    const sent = httpRequest(url, { method, headers, timeout: timeoutMs, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
        if (text.length > maxBytes) sent.destroy(new Error("the answer is too large"));
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(Object.assign(new Error("no answer in time"), { code: "ESLUICELATE" })));
    sent.on("error", reject);
    sent.end(body ?? undefined);
  });
}
