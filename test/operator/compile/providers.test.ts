import { describe } from "node:test";
import type { World } from "../../../operator/compile/world.ts";
import { checkRows, digest, nowMs, object, provider, type Row } from "./kit.ts";

const rows: Row[] = [
  {
    name: "an unknown field is named, with what was meant",
    objects: [provider("a/p", { modles: [] })],
    of: ["LLMProvider", "a/p"],
    reasons: ["UnknownField"],
    live: "none",
    message: /did you mean models/,
  },
  {
    name: "a field of the wrong type is named",
    objects: [provider("a/p", { models: "m" })],
    of: ["LLMProvider", "a/p"],
    reasons: ["Invalid"],
    live: "none",
    message: /spec\.models/,
  },
  {
    name: "an endpoint that is not an http URL is refused",
    objects: [provider("a/p", { endpoint: "ftp://llm.example.com" })],
    of: ["LLMProvider", "a/p"],
    reasons: ["Invalid"],
    live: "none",
    message: /http or https/,
  },
  ...(
    [
      [
        "a value that is not a certificate",
        { caBundle: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" },
        /has an unreadable certificate, number 1/,
      ],
      [
        "half a certificate",
        { caBundle: "-----BEGIN CERTIFICATE-----\nAAAA\n" },
        /whole certificates in PEM and nothing else/,
      ],
      [
        "a key",
        { caBundle: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nAAAA" },
        /private key; take it out/,
      ],
    ] as const
  ).map(([what, tls, message]) => ({
    name: `${what} as an authority is refused`,
    objects: [provider("a/p", { endpoint: "https://llm.example.com", tls })],
    of: ["LLMProvider", "a/p"] as Row["of"],
    reasons: ["Invalid"],
    live: "none" as const,
    message,
  })),
  ...(
    [
      [
        "for a type without one",
        {},
        { serverName: "iam.internal" },
        "Invalid",
        /OpenAICompatible has no token service; take spec\.tokenService out/,
      ],
      [
        "that is called without TLS",
        { type: "Watsonx", options: { projectId: "p", iamUrl: "http://iam.internal" } },
        { serverName: "iam.internal" },
        "Invalid",
        /spec\.tokenService\.tls needs a spec\.options\.iamUrl that begins with https:\/\//,
      ],
      [
        "with a value that is not a certificate",
        { type: "Watsonx", options: { projectId: "p" } },
        { caBundle: "-----BEGIN CERTIFICATE-----\nAAAA\n" },
        "Invalid",
        /spec\.tokenService\.tls\.caBundle must be whole certificates/,
      ],
      [
        "with a Secret that is not there",
        { type: "AzureOpenAI", options: { tenantId: "t", clientId: "c" }, endpoint: "https://r.openai.azure.com" },
        { clientCertificate: { secretRef: { name: "pair" } } },
        "SecretNotFound",
        /Secret pair is not in namespace a; create it/,
      ],
    ] as const
  ).map(([what, spec, tls, reason, message]) => ({
    name: `TLS to a token service ${what} is refused`,
    objects: [
      provider("a/p", {
        endpoint: "https://llm.example.com",
        ...spec,
        credentials: { secretRef: { name: "both" } },
        tokenService: { tls },
      }),
    ],
    more: {
      secrets: {
        "a/both": {
          apiKey: { digest: digest("k"), displayPrefix: "" },
          clientSecret: { digest: digest("s"), displayPrefix: "" },
        },
      },
    } as Partial<World>,
    of: ["LLMProvider", "a/p"] as Row["of"],
    reasons: [reason],
    live: "none" as const,
    message,
  })),
  ...(
    [
      ["is not there", {}, "SecretNotFound", /Secret pair is not in namespace a; create it/],
      [
        "has no certificate",
        { "tls.key": {} },
        "SecretKeyNotFound",
        /has no key tls\.crt; it must be a Secret of type kubernetes\.io\/tls/,
      ],
      [
        "has no key",
        { "tls.crt": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } } },
        "SecretKeyNotFound",
        /has no key tls\.key/,
      ],
      [
        "has what is no PEM",
        { "tls.crt": {}, "tls.key": {} },
        "SecretUnusable",
        /key tls\.crt: the value is not a certificate in PEM/,
      ],
      [
        "has them the wrong way round",
        {
          "tls.crt": { privateKey: { publicKey: "1" } },
          "tls.key": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
        },
        "SecretUnusable",
        /key tls\.crt: the value is not a certificate in PEM/,
      ],
      [
        "has a certificate twice",
        {
          "tls.crt": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
          "tls.key": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
        },
        "SecretUnusable",
        /key tls\.key: the value is not a private key in PEM/,
      ],
      [
        "has a key that TLS can't use",
        {
          "tls.crt": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
          "tls.key": { privateKey: { unusable: "holds a key with a passphrase" } },
        },
        "SecretUnusable",
        /key tls\.key: the value holds a key with a passphrase/,
      ],
      [
        "has a key that doesn't fit",
        {
          "tls.crt": { certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
          "tls.key": { privateKey: { publicKey: "2" } },
        },
        "SecretUnusable",
        /has a tls\.key that is not the key of the first certificate in tls\.crt/,
      ],
    ] as const
  ).map(([what, facts, reason, message]) => ({
    name: `a Secret for a client certificate that ${what} is reported`,
    objects: [
      provider("a/p", {
        endpoint: "https://llm.example.com",
        tls: { clientCertificate: { secretRef: { name: "pair" } } },
      }),
    ],
    more: {
      secrets: {
        // What another namespace has is of no use here.
        "b/pair": {
          "tls.crt": { digest: digest("b"), displayPrefix: "", certificate: { publicKey: "1", notAfterMs: nowMs + 1 } },
        },
        ...(Object.keys(facts).length === 0
          ? {}
          : {
              "a/pair": Object.fromEntries(
                Object.entries(facts).map(([key, half]) => [key, { digest: digest(key), displayPrefix: "", ...half }]),
              ),
            }),
      },
    } as Partial<World>,
    of: ["LLMProvider", "a/p"] as Row["of"],
    reasons: [reason],
    live: "none" as const,
    message,
  })),
  {
    name: "a client certificate that has ended is shown all the same, with a warning",
    objects: [
      provider("a/p", {
        endpoint: "https://llm.example.com",
        tls: { clientCertificate: { secretRef: { name: "pair" } } },
      }),
    ],
    more: {
      secrets: {
        "a/pair": {
          "tls.crt": { digest: digest("c"), displayPrefix: "", certificate: { publicKey: "1", notAfterMs: nowMs } },
          "tls.key": { digest: digest("k"), displayPrefix: "", privateKey: { publicKey: "1" } },
        },
      },
    },
    of: ["LLMProvider", "a/p"],
    reasons: ["CertificateExpired"],
    live: "current",
    message: /Secret pair has a certificate that expired at 2026-11-20T12:00:00\.000Z; renew it/,
  },
  {
    name: "TLS to an endpoint without TLS is refused",
    objects: [provider("a/p", { endpoint: "http://llm.example.com/v1", tls: { serverName: "llm.example.com" } })],
    of: ["LLMProvider", "a/p"],
    reasons: ["Invalid"],
    live: "none",
    message: /https:\/\//,
  },
  {
    name: "a type without a default endpoint asks for one",
    objects: [object("LLMProvider", "a/p", { type: "OpenAICompatible", models: [{ name: "m" }] })],
    of: ["LLMProvider", "a/p"],
    reasons: ["Invalid"],
    live: "none",
    message: /spec\.endpoint/,
  },
  {
    name: "an option that the type does not have is refused, with those it has",
    objects: [
      object("LLMProvider", "a/p", {
        type: "OpenAI",
        options: { projekt: "x" },
        credentials: { secretRef: { name: "s" } },
        models: [{ name: "m" }],
      }),
    ],
    of: ["LLMProvider", "a/p"],
    reasons: ["UnknownField"],
    live: "none",
    message: /organization, project/,
  },
  {
    name: "a Secret that is not there is named",
    objects: [provider("a/p", { credentials: { secretRef: { name: "nope" } } })],
    of: ["LLMProvider", "a/p"],
    reasons: ["SecretNotFound"],
    live: "none",
    message: /Secret nope/,
  },
  {
    name: "a key that the Secret lacks is named",
    objects: [provider("a/p", { credentials: { secretRef: { name: "s", key: "token" } } })],
    of: ["LLMProvider", "a/p"],
    reasons: ["SecretKeyNotFound"],
    live: "none",
    message: /no key token/,
  },
  {
    name: "a key named like something that every object has is just not there",
    objects: [provider("a/p", { credentials: { secretRef: { name: "s", key: "constructor" } } })],
    of: ["LLMProvider", "a/p"],
    reasons: ["SecretKeyNotFound"],
    live: "none",
  },
  {
    name: "a type that needs a credential says so",
    objects: [object("LLMProvider", "a/p", { type: "OpenAI", models: [{ name: "m" }] })],
    of: ["LLMProvider", "a/p"],
    reasons: ["SecretNotFound"],
    live: "none",
  },
];

describe("an LLMProvider", () => checkRows(rows));
