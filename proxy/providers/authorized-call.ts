/** A call that is ready to be sent: with the account's additions, then with its credential. */
import type { AuthEnvironment, Outgoing, Provider, ProviderAccount } from "./provider.ts";

function withAdditions(outgoing: Outgoing, { additions }: ProviderAccount): Outgoing {
  if (additions === undefined) return outgoing;
  const { path } = outgoing;
  const separator = path.includes("?") ? "&" : "?";
  return {
    ...outgoing,
    path: additions.query === "" ? path : `${path}${separator}${additions.query}`,
    headers: { ...outgoing.headers, ...additions.headers },
  };
}

/** The credential comes last, because a signature covers the query. */
export const authorizedCall = (
  { provider, account }: { provider: Provider; account: ProviderAccount },
  outgoing: Outgoing,
  env: AuthEnvironment,
): Outgoing | Promise<Outgoing> => provider.authorize(withAdditions(outgoing, account), account, env);
