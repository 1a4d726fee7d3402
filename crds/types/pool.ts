/** A provider that is several equal servers, such as the Pods of a Service that run vLLM. */
import { z } from "zod";
import { objectName } from "./scalars.ts";
import { worded } from "./worded.ts";

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
        "The most calls of one proxy that may be under way at one server. If all servers have as many, calls go to the policy's next target.",
      ),
  })
  .meta({
    cel: [{ rule: "has(self.service) != has(self.addresses)", message: "set exactly one of service and addresses" }],
  })
  .describe(
    "Calls go to the servers' own addresses, chosen by the proxies. Scheme and path, and the name in certificates, are those of spec.endpoint. Files, batches and health checks go to spec.endpoint.",
  );
export type PoolSpec = z.output<typeof pool>;
