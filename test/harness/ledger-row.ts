/** A row of the usage ledger for one call without a team or role. */
import type { LedgerRow } from "../../proxy/config/ledger.ts";

export const ledgerRow = (fields: Partial<LedgerRow>): LedgerRow => ({
  hourMs: 0,
  namespace: "n",
  user: "u",
  team: "",
  role: "",
  key: "",
  route: "",
  model: "m",
  provider: "p",
  requests: 1,
  errors: 0,
  promptTokens: 1,
  cachedTokens: 0,
  cacheWriteTokens: 0,
  completionTokens: 1,
  reasoningTokens: 0,
  costNanoUsd: 0,
  estimated: 0,
  unpriced: 0,
  ...fields,
});
