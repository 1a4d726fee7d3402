import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ProviderConfig } from "../../../proxy/config/provider.ts";
import { MemoryStore } from "../../../proxy/fleet/memory.ts";
import { Quotas } from "../../../proxy/fleet/quotas.ts";
import type { ProviderModel } from "../../../proxy/providers/provider.ts";
import { fleetQuotas, localQuotas, type ProviderQuotas } from "../../../proxy/routing/quotas.ts";

const provider = (quota: Partial<ProviderConfig["quota"]>): ProviderConfig =>
  ({ id: "a/p", quota: { requestsPerMinute: null, tokensPerMinute: null, ...quota } }) as unknown as ProviderConfig;

/** Proxies on one store, in a time that stands still until it is moved. */
function fleet(size: number): { proxies: ProviderQuotas[]; clock: { now: number } } {
  const clock = { now: Date.parse("2026-11-20T12:00:00Z") };
  const store = new MemoryStore(() => clock.now);
  const proxies = Array.from({ length: size }, (_, at) =>
    fleetQuotas(new Quotas(store, `proxy-${at}`, { nowMs: () => clock.now, after: () => () => undefined })),
  );
  return { proxies, clock };
}

const model = (name: string, quota: Partial<ProviderConfig["quota"]> = {}): ProviderModel =>
  ({
    name,
    config: { quota: { requestsPerMinute: null, tokensPerMinute: null, ...quota } },
  }) as unknown as ProviderModel;
const m = model("m");

async function granted(
  proxies: readonly ProviderQuotas[],
  config: ProviderConfig,
  calls: number,
  tokens = 1,
): Promise<number> {
  let count = 0;
  for (let at = 0; at < calls; at++)
    if ((await proxies[at % proxies.length]?.take(config, m, tokens)) !== null) count++;
  return count;
}

describe("a provider's quota", () => {
  for (const size of [1, 2, 8]) {
    it(`is kept by ${size} proxies together, and there is room again when the minute has passed`, async () => {
      const { proxies, clock } = fleet(size);
      const limited = provider({ requestsPerMinute: 100 });
      assert.equal(await granted(proxies, limited, 300), 100);
      clock.now += 121_000;
      assert.equal(await granted(proxies, limited, 300), 100);
    });
  }

  const alone = () => {
    const clock = { now: Date.parse("2026-11-20T12:00:00Z") };
    return { proxies: [localQuotas(() => clock.now)], clock };
  };
  const kinds: [string, () => ReturnType<typeof fleet>][] = [
    ["of a fleet", () => fleet(1)],
    ["of one process", alone],
  ];
  for (const [name, make] of kinds) {
    it(`${name} counts the tokens that were really used`, async () => {
      const { proxies, clock } = make();
      const quotas = proxies[0] as ProviderQuotas;
      const limited = provider({ tokensPerMinute: 100 });
      const first = await quotas.take(limited, m, 60);
      assert.equal(await quotas.take(limited, m, 60), null);
      first?.settle(1, 10);
      first?.settle(1, 0);
      // A refusal is believed for a moment.
      clock.now += 200;
      assert.notEqual(await quotas.take(limited, m, 60), null);
      assert.equal(await quotas.take(limited, m, 60), null);
    });

    it(`${name} is all or nothing`, async () => {
      const { proxies, clock } = make();
      const quotas = proxies[0] as ProviderQuotas;
      const limited = provider({ requestsPerMinute: 2, tokensPerMinute: 100 });
      assert.notEqual(await quotas.take(limited, m, 90), null);
      assert.equal(await quotas.take(limited, m, 90), null, "no tokens are left");
      clock.now += 200;
      assert.notEqual(await quotas.take(limited, m, 5), null, "so no request was taken");
      assert.equal(await quotas.take(limited, m, 1), null);
    });

    it(`${name} holds for a model as well as for the account`, async () => {
      const { proxies } = make();
      const quotas = proxies[0] as ProviderQuotas;
      const limited = provider({ requestsPerMinute: 3 });
      const small = model("small", { requestsPerMinute: 1 });
      assert.notEqual(await quotas.take(limited, small, 1), null);
      assert.equal(await quotas.take(limited, small, 1), null);
      assert.notEqual(await quotas.take(limited, model("large", { requestsPerMinute: 5 }), 1), null);
      assert.notEqual(await quotas.take(limited, m, 1), null, "the refused one took nothing");
      assert.equal(await quotas.take(limited, m, 1), null);
    });

    it(`${name} asks nobody where none is declared`, () => {
      assert.notEqual(make().proxies[0]?.take(provider({}), m, 1_000_000), null);
    });
  }
});
