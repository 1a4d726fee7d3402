import { describe } from "node:test";
import { checkRows, policy, provider, type Row } from "./kit.ts";

const rows: Row[] = [
  {
    name: "a provider and a policy that fit are live",
    objects: [provider("a/p"), policy("a/r")],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a model named like something that every object has is just not there",
    objects: [provider("a/p"), policy("a/r", { match: { models: ["toString"] } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "none",
  },
  {
    name: "a provider that is not there is named",
    objects: [policy("a/r")],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ProviderNotFound"],
    live: "none",
    message: /LLMProvider p is not in namespace a/,
  },
  {
    name: "a model that the provider lacks is named, with those it has",
    objects: [provider("a/p"), policy("a/r", { match: { models: ["other"] } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "none",
    message: /no model other; it has m/,
  },
  {
    name: "one dangling target leaves the others serving",
    objects: [
      provider("a/p"),
      policy("a/r", { routing: { targets: [{ provider: { name: "p" } }, { provider: { name: "q" } }] } }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ProviderNotFound"],
    live: "partial",
  },
  {
    name: "a provider of another namespace needs that owner's grant",
    objects: [provider("b/p"), policy("a/r", { routing: { targets: [{ provider: { name: "p", namespace: "b" } }] } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["RefNotPermitted"],
    live: "none",
  },
  {
    name: "a grant to all is a grant",
    objects: [
      provider("b/p", { allowedNamespaces: { from: "All" } }),
      policy("a/r", { routing: { targets: [{ provider: { name: "p", namespace: "b" } }] } }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a grant by selector matches the namespace's labels",
    objects: [
      provider("a/p", { allowedNamespaces: { from: "Selector", selector: { matchLabels: { tier: "gold" } } } }),
      policy("b/r", { routing: { targets: [{ provider: { name: "p", namespace: "a" } }] } }),
    ],
    of: ["RoutingPolicy", "b/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a tenant may not offer its policies to others",
    objects: [provider("a/p"), policy("a/r", { allowedNamespaces: { from: "All" } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["SharingNotPermitted"],
    live: "none",
  },
  {
    name: "a namespace that may share does",
    objects: [provider("platform/p"), policy("platform/r", { allowedNamespaces: { from: "All" } })],
    of: ["RoutingPolicy", "platform/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "the younger of two policies for one model loses it, and learns to whom",
    objects: [provider("a/p"), policy("a/old", {}, 1), policy("a/young", {}, 2)],
    of: ["RoutingPolicy", "a/young"],
    reasons: ["Conflicted"],
    live: "none",
    message: /a\/old is older/,
  },
  {
    name: "the older one keeps it",
    objects: [provider("a/p"), policy("a/old", {}, 1), policy("a/young", {}, 2)],
    of: ["RoutingPolicy", "a/old"],
    reasons: [],
    live: "current",
  },
  {
    name: "policies of two namespaces do not meet",
    objects: [provider("a/p"), provider("b/p"), policy("a/r"), policy("b/r")],
    of: ["RoutingPolicy", "b/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a policy that loses one of its models keeps the other",
    objects: [
      provider("a/p", { models: [{ name: "m" }, { name: "n" }] }),
      policy("a/old", {}, 1),
      policy("a/young", { match: { models: ["m", "n"] } }, 2),
    ],
    of: ["RoutingPolicy", "a/young"],
    reasons: ["Conflicted"],
    live: "partial",
  },
  {
    name: "a rule that names no target is refused",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: { targets: [{ provider: { name: "p" } }], rules: [{ when: { tags: ["x"] }, use: ["q"] }] },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["TargetNotFound"],
    live: "none",
  },
  {
    name: "a rule behind one that matches all that it does is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: {
          targets: [{ provider: { name: "p" } }],
          rules: [
            { when: { tags: ["x", "y"] }, use: ["p"] },
            { when: { tags: ["x"], roles: ["admin"] }, use: ["p"] },
          ],
        },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
  },
  {
    name: "a rule behind one that takes every model of the policy is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: {
          targets: [{ provider: { name: "p" } }],
          rules: [
            { when: { models: ["m"] }, use: ["p"] },
            { when: { users: ["u"] }, use: ["p"] },
          ],
        },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
    message: /rule 2 never matches, because rule 1/,
  },
  {
    name: "a rule behind one whose wildcard has its models is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: {
          targets: [{ provider: { name: "p" } }],
          rules: [
            { when: { models: ["m*"] }, use: ["p"] },
            { when: { models: ["m"] }, use: ["p"] },
          ],
        },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
    message: /rule 2 never matches, because rule 1/,
  },
  {
    name: "a rule with a wildcard for models that the policy does not serve is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: { targets: [{ provider: { name: "p" } }], rules: [{ when: { models: ["n*"] }, use: ["p"] }] },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
    message: /match\.models has none/,
  },
  {
    name: "a rule for a model that the policy does not serve is a warning",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: { targets: [{ provider: { name: "p" } }], rules: [{ when: { models: ["n"] }, use: ["p"] }] },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["UnreachableRule"],
    live: "current",
    message: /match\.models has none/,
  },
  {
    name: "a narrower rule before a wider one is as it should be",
    objects: [
      provider("a/p"),
      policy("a/r", {
        routing: {
          targets: [{ provider: { name: "p" } }],
          rules: [
            { when: { promptTokens: { greaterThan: 1000 } }, use: ["p"] },
            { when: { promptTokens: { greaterThan: 100 } }, use: ["p"] },
          ],
        },
      }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  {
    name: "a default model that the provider lacks is named",
    objects: [
      provider("a/p"),
      policy("a/r", { match: { models: ["m"], pathPrefix: "/chat" }, request: { defaults: { model: "n" } } }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "none",
    message: /no model n; it has m/,
  },
  {
    name: "an override of the model that the provider lacks is named",
    objects: [provider("a/p"), policy("a/r", { request: { overrides: { model: "n" } } })],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "none",
  },
  {
    name: "a path without a model is a warning, because callers may name one",
    objects: [
      provider("a/p", { models: [{ name: "m" }, { name: "n" }] }),
      policy("a/r", { match: { pathPrefix: "/chat" } }),
    ],
    of: ["RoutingPolicy", "a/r"],
    reasons: ["ModelNotFound"],
    live: "current",
    message: /names no model/,
  },
];

describe("a RoutingPolicy", () => checkRows(rows));
