/** Everything that calls out: providers, token services, issuers, and what is known of each. */
import { systemClock } from "./clock.ts";
import { CloudIdentities } from "./cloud/identities.ts";
import type { Egress, Env } from "./config/egress/egress.ts";
import { CachingVerifier } from "./identity/verify.ts";
import { ambientOf, authEnvironment, fetchJson } from "./own-calls.ts";
import { Pickers } from "./picker/pickers.ts";
import type { AuthEnvironment } from "./providers/provider.ts";
import { ModelDiscovery } from "./routing/discovery.ts";
import { HealthChecks } from "./routing/health-checks.ts";
import { modelLister } from "./routing/list-models.ts";
import { prober } from "./routing/probe.ts";
import type { ProxySettings } from "./settings.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import type { Logger } from "./telemetry/log.ts";
import { TokenCache } from "./wire/tokens.ts";
import { Upstreams } from "./wire/upstream.ts";

const addressesOf = (snapshot: Snapshot) =>
  [...snapshot.providers.values()].flatMap(({ address, pods = [] }) => [address, ...pods.map((pod) => pod.address)]);

export class Outbound {
  readonly upstreams: Upstreams;
  readonly identities: CloudIdentities;
  readonly auth: AuthEnvironment;
  readonly checks: HealthChecks;
  readonly discovery: ModelDiscovery;
  /** Endpoint pickers of InferencePools. */
  readonly pickers: Pickers;
  /** Keys of token issuers. */
  readonly tokens: CachingVerifier;

  /** `env`: the cloud's variables are read from it. */
  constructor(
    settings: Pick<ProxySettings, "http1" | "cloudMetadata" | "streamPauseMs">,
    egress: Egress,
    env: Env,
    log: Logger,
  ) {
    const random = { ...systemClock, random: Math.random };
    this.upstreams = new Upstreams(settings.http1, egress, settings.streamPauseMs);
    this.identities = new CloudIdentities(
      ambientOf(this.upstreams, env, settings.cloudMetadata),
      (provider, reason) => {
        if (reason === null) log.info({ provider }, "cloud identity obtained");
        else log.warn({ provider, reason }, "no cloud identity; calls go to other targets");
      },
    );
    this.auth = authEnvironment(new TokenCache(Date.now), this.upstreams, this.identities);
    this.checks = new HealthChecks(random, prober(this.upstreams, this.auth), {
      changed(provider, { healthy, reason }) {
        if (healthy === false) log.warn({ provider, reason }, "health check fails; the provider is called last");
        else log.info({ provider }, "health check passes");
      },
    });
    this.pickers = new Pickers((provider, reason) => {
      if (reason === null) log.info({ provider }, "the endpoint picker answers again");
      else log.warn({ provider, reason }, "the endpoint picker of an InferencePool fails");
    });
    this.discovery = new ModelDiscovery(random, modelLister(this.upstreams, this.auth));
    this.tokens = new CachingVerifier(fetchJson(this.upstreams), Date.now, (issuer, cause) =>
      log.warn(
        { issuer, err: cause instanceof Error ? cause.message : String(cause) },
        "keys of a token issuer not fetched; those that are known stay in use",
      ),
    );
  }

  /** Goes on with what the config names, and forgets the rest. */
  apply(snapshot: Snapshot): void {
    this.upstreams.keep(addressesOf(snapshot));
    this.checks.apply(snapshot.providers);
    this.discovery.apply(snapshot.providers);
    this.pickers.keep(snapshot.providers);
    this.tokens.keep(snapshot.settings.identity.issuers);
    this.identities.keep(snapshot.providers);
  }

  /** Ends what runs by itself; calls under way go on. */
  stop(): void {
    this.checks.stop();
    this.discovery.stop();
    this.pickers.close();
  }
}
