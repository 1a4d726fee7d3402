/** Whom a server that the gateway calls must prove to be. */
import { z } from "zod";
import { secretConsent, secretName } from "./scalars.ts";
import { worded } from "./worded.ts";

/** Not a secret: certificates of authorities are for everybody to see, so they stand in the object itself. */
export const upstreamTls = z
  .strictObject({
    caBundle: worded(
      z.string().max(16_384),
      /^[ \t\r\n\f]*-----BEGIN CERTIFICATE-----/,
      "must be certificates in PEM, the first line -----BEGIN CERTIFICATE-----",
      [
        [
          /PRIVATE KEY/,
          "must be certificates alone: a private key belongs into the Secret that clientCertificate.secretRef names",
        ],
        [
          /^[A-Za-z0-9+/= \t\r\n]+$/,
          "must be certificates in PEM as they are, the first line -----BEGIN CERTIFICATE-----, and not in base64 once more",
        ],
      ],
    )
      .meta({ unquoted: true })
      .optional()
      .describe(
        "Certificates of the authorities to trust, in PEM, one after the other. They replace the public ones. Absent: the public ones.",
      ),
    serverName: worded(
      z.string().max(253),
      /^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$/,
      "must be a DNS name without scheme and port, such as llm.example.com",
      [[/^[0-9.]+$/, "must be a DNS name, such as llm.example.com, and not an address: the certificate's name"]],
    )
      .optional()
      .describe("Name that the certificate must be for, and that is asked for (SNI). Absent: the host that is called."),
    clientCertificate: z
      .strictObject({
        secretRef: z
          .strictObject({
            name: secretName.describe(
              "Name of the Secret, in the object's own namespace, with the keys tls.crt and tls.key.",
            ),
          })
          .describe(
            `Reference to a Secret of type kubernetes.io/tls in the same namespace, such as cert-manager writes. ${secretConsent}`,
          ),
      })
      .optional()
      .describe(
        "What the gateway shows to a server that asks for a certificate (mTLS). A renewed one is used for the next connection. Absent: none.",
      ),
  })
  .describe("TLS to the endpoint.");
export type UpstreamTlsSpec = z.output<typeof upstreamTls>;

export const tokenService = z
  .strictObject({ tls: upstreamTls.describe("TLS to the token service.") })
  .describe(
    "The service where the credential is exchanged for a token, for types that have one; spec.options has its address. What is in spec.tls is not for it.",
  );
