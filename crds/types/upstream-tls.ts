/** How the gateway verifies the servers it connects to, and how it identifies itself to them. */
import { z } from "zod";
import { secretConsent, secretName } from "./scalars.ts";
import { worded } from "./worded.ts";

/** Not a secret: certificates of authorities are public, so the object holds them directly. */
export const caBundle = worded(
  z.string().max(16_384),
  /^[ \t\r\n\f]*-----BEGIN CERTIFICATE-----/,
  "must be certificates in PEM, the first line -----BEGIN CERTIFICATE-----",
  [
    [
      /PRIVATE KEY/,
      "must contain only certificates: put the private key into the Secret that clientCertificate.secretRef names",
    ],
    [
      /^[A-Za-z0-9+/= \t\r\n]+$/,
      "must be certificates in PEM, not base64-encoded again; the first line is -----BEGIN CERTIFICATE-----",
    ],
  ],
).meta({ unquoted: true });

export const upstreamTls = z
  .strictObject({
    caBundle: caBundle
      .optional()
      .describe(
        "Certificates of the authorities to trust, concatenated PEM. They replace the public authorities. Default: the public authorities.",
      ),
    serverName: worded(
      z.string().max(253),
      /^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?$/,
      "must be a DNS name without scheme and port, such as llm.example.com",
      [[/^[0-9.]+$/, "must be a DNS name, such as llm.example.com, and not an address: the certificate's name"]],
    )
      .optional()
      .describe("Name that the certificate must be valid for, also sent as SNI. Default: the endpoint's host."),
    clientCertificate: z
      .strictObject({
        secretRef: z
          .strictObject({
            name: secretName.describe(
              "Name of the Secret, in the object's own namespace, with the keys tls.crt and tls.key.",
            ),
          })
          .describe(
            `Reference to a Secret of type kubernetes.io/tls in the same namespace, such as cert-manager creates. ${secretConsent}`,
          ),
      })
      .optional()
      .describe(
        "Client certificate for servers that ask for one (mTLS). A renewed one is used from the next connection on. Default: none.",
      ),
  })
  .describe("TLS to the endpoint.");
export type UpstreamTlsSpec = z.output<typeof upstreamTls>;

export const tokenService = z
  .strictObject({ tls: upstreamTls.describe("TLS to the token service.") })
  .describe(
    "Settings for the token service, for types that exchange the credential for a token. Its address is in spec.options. spec.tls does not apply to it.",
  );
