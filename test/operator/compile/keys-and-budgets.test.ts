import { createHash } from "node:crypto";
import { describe } from "node:test";
import { apiKey, checkRows, object, policy, provider, type Row } from "./kit.ts";

const rows: Row[] = [
  {
    name: "a key for a model that no policy serves its namespace is a warning",
    objects: [provider("b/p"), policy("b/r"), apiKey("a/k", { models: ["m"] })],
    of: ["ApiKey", "a/k"],
    reasons: ["ModelNotFound"],
    live: "current",
    message: /no RoutingPolicy serves m to namespace a/,
  },
  {
    name: "a key for a wildcard that no policy's models match is a warning",
    objects: [provider("a/p"), policy("a/r"), apiKey("a/k", { models: ["m*", "n*"] })],
    of: ["ApiKey", "a/k"],
    reasons: ["ModelNotFound"],
    live: "current",
    message: /no RoutingPolicy serves n\* to namespace a/,
  },
  {
    name: "a key is live by its digest",
    objects: [apiKey("a/k")],
    of: ["ApiKey", "a/k"],
    reasons: [],
    live: "current",
  },
  {
    name: "a key whose Secret is not there yet is not",
    objects: [apiKey("b/k")],
    of: ["ApiKey", "b/k"],
    reasons: ["SecretNotFound"],
    live: "none",
  },
  {
    name: "the younger of two objects with one key is refused",
    objects: [apiKey("a/k", {}, 1), apiKey("a/l", {}, 2)],
    of: ["ApiKey", "a/l"],
    reasons: ["DuplicateKey"],
    live: "none",
  },
  {
    name: "a key of another gateway is live by its digest, without a Secret",
    objects: [object("ApiKey", "a/k", { user: "u", digests: [{ value: "ab".repeat(32) }] })],
    of: ["ApiKey", "a/k"],
    reasons: [],
    live: "current",
  },
  {
    name: "the younger of two objects with one digest is refused, whichever of its digests it is",
    objects: [
      object("ApiKey", "b/old", { user: "u", digests: [{ value: "cd".repeat(32) }, { value: "ab".repeat(32) }] }, 1),
      object("ApiKey", "a/new", { user: "u", digests: [{ value: "ab".repeat(32) }, { value: "ef".repeat(32) }] }, 2),
    ],
    of: ["ApiKey", "a/new"],
    reasons: ["DuplicateKey"],
    live: "none",
  },
  {
    name: "a digest of a key that examples show is refused",
    objects: [
      object("ApiKey", "a/k", {
        user: "u",
        digests: [{ value: createHash("sha256").update("sk-1234").digest("hex") }],
      }),
    ],
    of: ["ApiKey", "a/k"],
    reasons: ["WeakKey"],
    live: "none",
    message: /spec\.digests\[0\] is the digest of a key that examples show/,
  },
  {
    name: "in a folder, time of life has nothing to count from",
    objects: [apiKey("a/k", { expiresAfter: "90d" }, 0)],
    of: ["ApiKey", "a/k"],
    reasons: ["Invalid"],
    live: "none",
    message: /use spec\.expiresAt/,
  },
  {
    name: "a budget is enforced",
    objects: [object("Budget", "a/b", { amount: "10.00", period: "Daily" })],
    of: ["Budget", "a/b"],
    reasons: [],
    live: "current",
  },
];

describe("an ApiKey or a Budget", () => checkRows(rows));
