/** A provider that consists of several equal servers, such as the vLLM Pods of a Service. */
import { z } from "zod";
import { objectName, timer } from "./scalars.ts";
import { caBundle } from "./upstream-tls.ts";
import { worded } from "./worded.ts";

const picker = z
  .strictObject({
    timeout: timer
      .default("10s")
      .describe("How long it may take to choose a server. Pickers that queue calls while servers are busy need more."),
    caBundle: caBundle
      .optional()
      .describe(
        "Certificates of the authorities to trust, concatenated PEM. Its certificate must be valid for <Service>.<namespace>.svc. Default: encrypted, and the certificate is not checked, since pickers make their own at start.",
      ),
    plaintext: z.boolean().default(false).describe("Whether it serves without TLS, as with --secure-serving=false."),
  })
  .meta({
    cel: [
      {
        rule: "!has(self.caBundle) || !has(self.plaintext) || !self.plaintext",
        message: "caBundle is for TLS: take out caBundle or plaintext",
      },
    ],
  })
  .prefault({})
  .describe("Settings for its endpoint picker.");

const inferencePool = z
  .strictObject({
    name: objectName.describe("Name of the InferencePool, in the object's namespace."),
    picker,
  })
  .describe(
    "InferencePool (inference.networking.k8s.io/v1) of the Gateway API Inference Extension, in place of a Service. Its endpoint picker chooses the server of each call; strategy decides only where the picker fails and the pool's failureMode is FailOpen. Needs the Helm value operator.inferencePools.",
  );

export const pool = z
  .strictObject({
    service: z
      .strictObject({
        name: objectName.describe("Name of the Service, in the object's namespace. A headless one works as well."),
        port: z
          .int()
          .min(1)
          .max(65_535)
          .optional()
          .describe("The Pods' port, in place of the Service's. Required if the Service has several."),
      })
      .optional()
      .describe(
        "Service whose ready Pods are called, each at its own address. The operator follows its EndpointSlices.",
      ),
    addresses: z
      .array(
        worded(
          z.string().max(300),
          /^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$/,
          "must be a host and a port, such as 10.0.0.7:8000",
          [[/^https?:/, "must be without a scheme, such as 10.0.0.7:8000: scheme and path are those of spec.endpoint"]],
        ),
      )
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("Servers outside the cluster, in place of a Service."),
    inferencePool: inferencePool.optional(),
    strategy: z
      .enum(["LeastLoad", "Prefix"])
      .default("LeastLoad")
      .describe(
        "LeastLoad: the server with the fewest calls of this proxy. Prefix: the same server for a session, else for conversations that begin alike, so that its prompt cache is used, unless it is loaded above 1.25 times the average.",
      ),
    maxInFlight: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe(
        "Largest number of concurrent calls from one proxy to one server. When all servers have reached it, calls go to the policy's next target.",
      ),
  })
  .meta({
    cel: [
      {
        rule: "[has(self.service), has(self.addresses), has(self.inferencePool)].filter(x, x).size() == 1",
        message: "set exactly one of service, addresses and inferencePool",
      },
    ],
  })
  .describe(
    "Calls go to the servers' own addresses, chosen by the proxies. Scheme and path, and the name in certificates, are those of spec.endpoint. Files, batches and health checks go to spec.endpoint.",
  );
export type PoolSpec = z.output<typeof pool>;
