import { describe } from "node:test";
import { checkRows, policy, provider, type Row } from "./kit.ts";

const copied = (target: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  routing: {
    targets: [{ provider: { name: "p" } }],
    shadow: { target: { provider: { name: "q" }, ...target }, percent: 10, ...more },
  },
});

const rows: Row[] = [
  {
    name: "a policy that copies calls to a second provider is live",
    objects: [provider("a/p"), provider("a/q"), policy("a/r", copied())],
    of: ["RoutingPolicy", "a/r"],
    reasons: [],
    live: "current",
  },
  ...(
    [
      ["is nowhere", [], copied(), "ProviderNotFound", /LLMProvider q is not in namespace a/, "partial"],
      [
        "lacks the model",
        [provider("a/q", { models: [{ name: "n" }] })],
        copied(),
        "ModelNotFound",
        /LLMProvider a\/q has no model m; it has n/,
        "partial",
      ],
      [
        "is another namespace's",
        [provider("b/q")],
        copied({ provider: { name: "q", namespace: "b" } }),
        "RefNotPermitted",
        /does not allow namespace a/,
        "partial",
      ],
      [
        "is outside the regions",
        [provider("a/q", { region: "us" }), provider("a/p", { region: "eu" })],
        { ...copied(), access: { residency: { regions: ["eu"] } } },
        "NotResident",
        /no calls are copied: .*also to a shadow/,
        "partial",
      ],
      [
        "answers the calls as well",
        [],
        copied({ provider: { name: "p" } }),
        "Invalid",
        /the same provider and model as target p: .*name another/,
        "current",
      ],
      [
        "has no price, where the cost is limited",
        [provider("a/q")],
        copied({}, { costPerDay: "5" }),
        "Invalid",
        /no price is known for m of LLMProvider a\/q: with costPerDay, calls to it are not copied/,
        "current",
      ],
      [
        "sets what is the caller's",
        [provider("a/q")],
        copied({ parameters: { tools: [] } }),
        "Invalid",
        /spec\.routing\.shadow\.target\.parameters must not set tools/,
        "none",
      ],
    ] as const
  ).map(
    ([why, objects, spec, reason, message, live]): Row => ({
      name: `a shadow that ${why}`,
      objects: [
        ...(objects.some(({ meta }) => meta.name === "p") ? [] : [provider("a/p")]),
        ...objects,
        policy("a/r", spec),
      ],
      of: ["RoutingPolicy", "a/r"],
      reasons: [reason],
      message,
      live,
    }),
  ),
];

describe("a RoutingPolicy with a shadow", () => checkRows(rows));
