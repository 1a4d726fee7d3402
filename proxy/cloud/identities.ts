/**
 * Identities of the cloud for providers that use no Secret: one exchange at a time for each provider, renewed before
 * they expire, and what the cloud last said where there is none.
 */
import type { CloudIdentityConfig } from "../config/cloud-identity.ts";
import type { AwsCredentials, CloudCredentials, ProviderAccount } from "../providers/provider.ts";
import { causeInWords, TokenServiceError, tokenCauseOf } from "../wire/causes.ts";
import { TokenCache } from "../wire/tokens.ts";
import { type Ambient, type Lasting, notSetUp } from "./ambient.ts";
import { awsSession } from "./aws.ts";
import { azureToken } from "./azure.ts";
import { googleToken } from "./google.ts";

/** After a failure the cloud is left alone for this long at first, so that calls don't add to its throttling. */
const pauseMs = 1_000;

type Identity<Cloud> = Extract<CloudIdentityConfig, { cloud: Cloud }>;

function identityOf<Cloud extends CloudIdentityConfig["cloud"]>(
  { config }: ProviderAccount,
  ...clouds: Cloud[]
): Identity<Cloud> {
  const { identity } = config;
  if (identity !== undefined && (clouds as string[]).includes(identity.cloud)) return identity as Identity<Cloud>;
  throw notSetUp("the provider has no cloud identity");
}

const keyOf = ({ config }: ProviderAccount, scope: string): string =>
  `${config.id}\n${JSON.stringify(config.identity)}\n${scope}`;

export class CloudIdentities implements CloudCredentials {
  readonly #ambient: Ambient;
  readonly #changed: (provider: string, reason: string | null) => void;
  readonly #sessions: TokenCache<AwsCredentials>;
  readonly #tokens: TokenCache;
  readonly #reasons = new Map<string, string>();
  /** Provider → keys of what is kept for it. */
  readonly #keys = new Map<string, Set<string>>();

  /** `changed`: called when a provider loses its identity, with the reason, and when it gets it back, with null. */
  constructor(ambient: Ambient, changed: (provider: string, reason: string | null) => void) {
    this.#ambient = ambient;
    this.#changed = changed;
    this.#sessions = new TokenCache(ambient.nowMs, pauseMs);
    this.#tokens = new TokenCache(ambient.nowMs, pauseMs);
  }

  aws(account: ProviderAccount): Promise<AwsCredentials> {
    const identity = identityOf(account, "aws");
    const region = account.config.options["region"] ?? "us-east-1";
    const [namespace = "", name = ""] = account.config.id.split("/");
    const own = (make: () => Promise<Lasting<AwsCredentials>>) => this.#sessions.token(`own\n${region}`, make);
    return this.#kept(this.#sessions, account, region, () =>
      awsSession(this.#ambient, identity, { region, namespace, name }, own),
    );
  }

  bearer(account: ProviderAccount, scope: string): Promise<string> {
    const identity = identityOf(account, "azure", "google");
    const own = (make: () => Promise<Lasting<string>>) => this.#tokens.token(`own\n${scope}`, make);
    return this.#kept(this.#tokens, account, scope, async () =>
      identity.cloud === "azure"
        ? azureToken(this.#ambient, identity, scope)
        : googleToken(this.#ambient, identity, scope, own),
    );
  }

  #kept<Value>(
    cache: TokenCache<Value>,
    account: ProviderAccount,
    scope: string,
    make: () => Promise<Lasting<Value>>,
  ): Promise<Value> {
    const { id } = account.config;
    const key = keyOf(account, scope);
    const keys = this.#keys.get(id);
    if (keys === undefined) this.#keys.set(id, new Set([key]));
    else keys.add(key);
    return cache.token(key, async () => {
      try {
        const made = await make();
        if (this.#reasons.delete(id)) this.#changed(id, null);
        return made;
      } catch (error) {
        this.#note(id, error);
        throw error;
      }
    });
  }

  #note(id: string, error: unknown): void {
    const said = error instanceof TokenServiceError ? error.said : null;
    const reason = said ?? causeInWords(tokenCauseOf(error));
    if (this.#reasons.get(id) === reason) return;
    this.#reasons.set(id, reason);
    this.#changed(id, reason);
  }

  forget({ config }: ProviderAccount): void {
    for (const key of this.#keys.get(config.id) ?? []) {
      this.#sessions.forget(key);
      this.#tokens.forget(key);
    }
  }

  /** Why a provider has no identity, or could not renew it; null if it has one. */
  reason(provider: string): string | null {
    return this.#reasons.get(provider) ?? null;
  }

  /** Forgets providers that are no longer configured. */
  keep(providers: { has(id: string): boolean }): void {
    for (const id of this.#keys.keys())
      if (!providers.has(id)) {
        this.forget({ config: { id } } as ProviderAccount);
        this.#keys.delete(id);
        this.#reasons.delete(id);
      }
  }
}
