/**
 * Login by a Kubernetes token. A viewer sees the kinds and namespaces that Kubernetes would let the token's holder list,
 * and nothing that RBAC withholds.
 */
import { hash } from "node:crypto";
import { type Kind, kindNames, kinds } from "../../crds/kinds.ts";
import type { Reviews, TokenHolder } from "../cluster/reviews.ts";
import type { Gate } from "./gate.ts";
import type { Viewer } from "./viewer.ts";

/** How long answers of the API server are cached: a withdrawn right ends within this time. */
const validForMs = 60_000;
const invalidForMs = 5_000;
const maxKept = 500;
const reviewsAtOnce = 16;

type Rights = Readonly<Record<Kind, "all" | ReadonlySet<string>>>;

async function namespacesWith(
  reviews: Reviews,
  holder: TokenHolder,
  resource: string,
  namespaces: readonly string[],
): Promise<"all" | ReadonlySet<string>> {
  if (await reviews.mayList(holder, resource, null)) return "all";
  const granted = new Set<string>();
  for (let index = 0; index < namespaces.length; index += reviewsAtOnce)
    await Promise.all(
      namespaces.slice(index, index + reviewsAtOnce).map(async (namespace) => {
        if (await reviews.mayList(holder, resource, namespace)) granted.add(namespace);
      }),
    );
  return granted;
}

async function rightsOf(reviews: Reviews, holder: TokenHolder, namespaces: readonly string[]): Promise<Rights> {
  const entries: [Kind, "all" | ReadonlySet<string>][] = [];
  for (const kind of kindNames)
    entries.push([kind, await namespacesWith(reviews, holder, kinds[kind].plural, namespaces)]);
  return Object.fromEntries(entries) as Rights;
}

function viewerOf({ user }: TokenHolder, rights: Rights): Viewer {
  const all = Object.values(rights);
  const everywhere = all.includes("all");
  const named = new Set(all.flatMap((allowed) => (allowed === "all" ? [] : [...allowed])));
  return {
    user,
    everything: all.every((allowed) => allowed === "all"),
    namespaces: everywhere ? null : [...named].sort(),
    sees(kind, namespace) {
      const right = rights[kind];
      return right === "all" || right.has(namespace);
    },
  };
}

/** `namespaces`: those that have objects of Sluice. */
export function tokenGate(reviews: Reviews, namespaces: () => readonly string[], nowMs: () => number): Gate {
  const kept = new Map<string, { untilMs: number; viewer: Promise<Viewer | null> }>();

  const ask = async (token: string): Promise<Viewer | null> => {
    const holder = await reviews.holderOf(token);
    return holder === null ? null : viewerOf(holder, await rightsOf(reviews, holder, namespaces()));
  };
  return {
    login: "token",
    async viewer(token) {
      if (token === null) return null;
      const digest = hash("sha256", token, "base64url");
      const cached = kept.get(digest);
      if (cached !== undefined && nowMs() < cached.untilMs) return cached.viewer;
      if (kept.size >= maxKept) kept.clear();
      const entry = { untilMs: nowMs() + validForMs, viewer: ask(token) };
      kept.set(digest, entry);
      try {
        const viewer = await entry.viewer;
        if (viewer === null) entry.untilMs = nowMs() + invalidForMs;
        return viewer;
      } catch (cause) {
        kept.delete(digest);
        throw cause;
      }
    },
  };
}
