/** GET of a provider's list of models, with limits on time and size. Obeys the same destination rules as any call. */
import { Buffer } from "node:buffer";
import { authorizedCall } from "../providers/authorized-call.ts";
import type { AuthEnvironment, ModelList, Outgoing, Provider, ProviderAccount } from "../providers/provider.ts";
import type { ProviderEntry } from "../snapshot/snapshot.ts";
import { causeInWords, causeOf, tokenCauseOf } from "../wire/causes.ts";
import { jsonIn } from "../wire/json.ts";
import type { Upstreams } from "../wire/upstream.ts";
import type { UpstreamAddress } from "../wire/upstream-address.ts";
import type { ListModels } from "./discovery.ts";

const timeoutMs = 15_000;
const maxBytes = 4_194_304;

interface Answer {
  status: number;
  body: string;
}

function get(
  upstreams: Pick<Upstreams, "send">,
  address: UpstreamAddress,
  outgoing: Outgoing,
): Promise<Answer | string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let status = 0;
    let bytes = 0;
    const timer = setTimeout(() => settle("no answer in time", true), timeoutMs);
    const settle = (result: Answer | string, cut: boolean): void => {
      clearTimeout(timer);
      resolve(result);
      // Deferred, since `call` isn't assigned yet while `send` runs.
      if (cut) queueMicrotask(() => call.abort());
    };
    const call = upstreams.send(address, outgoing, {
      head: (code) => {
        status = code;
      },
      data(chunk) {
        bytes += chunk.length;
        if (bytes > maxBytes) settle("the list is larger than 4 MiB", true);
        else chunks.push(chunk);
        return true;
      },
      end: () => settle({ status, body: Buffer.concat(chunks).toString("utf8") }, false),
      error: (_kind, cause) => settle(causeInWords(causeOf(cause, status !== 0)), false),
    });
  });
}

/** Most pages that are read: no usable list of models is longer. */
const maxPages = 20;

/** The URL of the lists, and how to authenticate there. */
interface Place {
  account: ProviderAccount;
  address: UpstreamAddress;
}

/** Another host gets none of the endpoint's settings: neither headers and parameters nor TLS. */
function placeOf({ account, address, provider }: ProviderEntry): Place | string {
  const place = provider.modelList?.elsewhere?.(account) ?? account;
  if (typeof place === "string") return place;
  if (place.origin === account.origin) return { account: place, address };
  const { additions: _own, ...bare } = place;
  const { tls: _tls, ...plain } = address;
  return { account: bare, address: { ...plain, origin: place.origin } };
}

class Lister {
  readonly #upstreams: Pick<Upstreams, "send">;
  readonly #auth: AuthEnvironment;

  constructor(upstreams: Pick<Upstreams, "send">, auth: AuthEnvironment) {
    this.#upstreams = upstreams;
    this.#auth = auth;
  }

  async names({ provider }: ProviderEntry, list: ModelList, place: Place): Promise<string[] | string> {
    const paths = [list.path(place.account), ...(list.more?.(place.account) ?? [])];
    const names = new Set<string>();
    for (let index = 0; index < paths.length; index++) {
      const path = paths[index] as string;
      const body = await this.#page(provider, list, place, path);
      if (typeof body === "string") return body;
      const listed = list.names(body.json);
      if (listed === null) return "the answer is not a list of models";
      for (const name of listed) names.add(name);
      const next = list.next?.(path, body.json) ?? null;
      if (next !== null && next !== path && paths.length < maxPages) paths.push(next);
    }
    return [...names];
  }

  /** The body of one page, or an error. */
  async #page(
    provider: Provider,
    list: ModelList,
    { account, address }: Place,
    path: string,
  ): Promise<{ json: unknown } | string> {
    const headers = { accept: "application/json", ...list.headers?.(account) };
    let outgoing: Outgoing;
    try {
      outgoing = await authorizedCall({ provider, account }, { method: "GET", path, headers, body: null }, this.#auth);
    } catch (thrown) {
      return `no token for the provider: ${causeInWords(tokenCauseOf(thrown))}`;
    }
    const answer = await get(this.#upstreams, address, outgoing);
    if (typeof answer === "string") return answer;
    return answer.status === 200 ? { json: jsonIn(answer.body) } : `status ${answer.status}`;
  }
}

export function modelLister(upstreams: Pick<Upstreams, "send">, auth: AuthEnvironment): ListModels {
  const lister = new Lister(upstreams, auth);
  return async (entry) => {
    const list = entry.provider.modelList;
    if (list === undefined) return "this version can't list the models of this type";
    const place = placeOf(entry);
    return typeof place === "string" ? place : lister.names(entry, list, place);
  };
}
