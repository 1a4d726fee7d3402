/** GET of a provider's list of models, with limits on time and size. Obeys the same destination rules as any call. */
import { Buffer } from "node:buffer";
import { authorizedCall } from "../providers/authorized-call.ts";
import type { AuthEnvironment, Outgoing } from "../providers/provider.ts";
import type { ProviderEntry } from "../snapshot/snapshot.ts";
import { causeInWords, causeOf, tokenCauseOf } from "../wire/causes.ts";
import { jsonIn } from "../wire/json.ts";
import type { Upstreams } from "../wire/upstream.ts";
import type { ListModels } from "./discovery.ts";

const timeoutMs = 15_000;
const maxBytes = 4_194_304;

interface Answer {
  status: number;
  body: string;
}

function get(upstreams: Upstreams, entry: ProviderEntry, outgoing: Outgoing): Promise<Answer | string> {
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
    const call = upstreams.send(entry.address, outgoing, {
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

export function modelLister(upstreams: Upstreams, auth: AuthEnvironment): ListModels {
  return async (entry) => {
    const { provider, account } = entry;
    const list = provider.modelList;
    if (list === undefined) return "this version can't list the models of this type";
    const headers = { accept: "application/json" };
    const asked: Outgoing = { method: "GET", path: list.path(account), headers, body: null };
    let outgoing: Outgoing;
    try {
      outgoing = await authorizedCall(entry, asked, auth);
    } catch (thrown) {
      return `no token for the provider: ${causeInWords(tokenCauseOf(thrown))}`;
    }
    const answer = await get(upstreams, entry, outgoing);
    if (typeof answer === "string") return answer;
    if (answer.status !== 200) return `status ${answer.status}`;
    return list.names(jsonIn(answer.body)) ?? "the answer is no list of models";
  };
}
