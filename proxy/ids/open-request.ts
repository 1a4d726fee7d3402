/** Stage: the ids in a request → the provider's own, and which provider has to be asked. */
import { arePlain } from "../call/plain-messages.ts";
import type { Shaped } from "../call/shaped.ts";
import type { WireFormat } from "../config/capabilities.ts";
import { isGatewaysItem } from "../dialects/openai-responses/made-items.ts";
import { type Failure, failure } from "../failure.ts";
import { type IdSeal, looksSealed, type Owner } from "../identity/id-seal.ts";
import { isObject, type JsonObject } from "../wire/json.ts";
import { isIdAt } from "./members.ts";
import { unknownObject } from "./unknown-object.ts";

const noMembers: ReadonlySet<string> = new Set();

/** Top-level members in which a format has ids; null: any. */
const carriers: Readonly<Record<WireFormat, ReadonlySet<string> | null>> = {
  "openai.chat": new Set(["messages"]),
  "openai.completions": new Set(),
  "openai.embeddings": new Set(),
  "openai.responses": null,
  "openai.image_edits": new Set(["images", "mask"]),
  "openai.images": noMembers,
  "openai.image_variations": noMembers,
  "openai.speech": noMembers,
  "openai.transcriptions": noMembers,
  "openai.translations": noMembers,
  "openai.moderations": noMembers,
  "cohere.rerank": noMembers,
  "anthropic.messages": new Set(["messages", "container", "tools"]),
};

/** Items that are sent whole: their id is a name, and no state hangs on it. */
const wholeItem = /^(message|function_call|custom_tool_call|(function_call|custom_tool_call)_output)$/;

const isWhole = (item: JsonObject): boolean =>
  wholeItem.test(String(item["type"] ?? (item["role"] === undefined ? "" : "message")));

/** Reasoning and calls of a provider's own tools: of use to the account that made them, but not needed to go on. */
const helpfulItem =
  /^(reasoning|(web_search|file_search|code_interpreter|image_generation|computer|mcp)_call|mcp_list_tools)$/;

/** Such an item of an earlier answer, and the account that made it. */
interface HelpfulItem {
  item: JsonObject;
  account: string;
}

const several = failure(
  "invalid_value",
  "The request names objects that different provider accounts keep. Use those of one account in a call.",
);

/** Opens ids in parsed JSON, in place. */
export class IdOpener {
  readonly #seal: IdSeal;
  readonly #owner: Owner;
  readonly #path: string[] = [];
  /** `namespace/name` of the provider that keeps what was named; null where nothing was. */
  account: string | null = null;
  failure: Failure | null = null;
  /** Something was changed since this was set to false. */
  changed = false;
  readonly helpful: HelpfulItem[] = [];

  constructor(seal: IdSeal, owner: Owner) {
    this.#seal = seal;
    this.#owner = owner;
  }

  /** The provider's own id; the same text where there is a failure. */
  id(sealed: string): string {
    const opened = this.#seal.open(this.#owner, sealed);
    if (opened === null) this.failure ??= unknownObject(sealed);
    else if (this.account !== null && this.account !== opened.account) this.failure ??= several;
    else this.account = opened.account;
    return opened?.id ?? sealed;
  }

  /** Opens what stands below the member `name` of a document. */
  member(document: JsonObject, name: string): void {
    this.#at(name, document, name);
  }

  /** Opens what stands at `key` of `container`. `name`: its step in the path. */
  #at(name: string, container: JsonObject | unknown[], key: string | number): void {
    const value = (container as Record<string | number, unknown>)[key];
    this.#path.push(name);
    if (typeof value === "string") this.#text(value, container, key);
    else if (Array.isArray(value)) this.#list(value);
    else if (isObject(value)) this.#object(value);
    this.#path.pop();
  }

  #text(value: string, container: JsonObject | unknown[], key: string | number): void {
    if (!isIdAt(this.#path, false)) return;
    (container as Record<string | number, unknown>)[key] = this.id(value);
    this.changed = true;
  }

  #list(values: unknown[]): void {
    for (let index = 0; index < values.length; index++) this.#at("[]", values, index);
  }

  #object(object: JsonObject): void {
    const ofItem = this.#path.length === 2 && this.#path[0] === "input" && this.#item(object, object["id"]);
    for (const name in object) {
      if (!(ofItem && name === "id")) this.#at(name, object, name);
    }
  }

  /** Whether this is an item whose id is dealt with here. */
  #item(item: JsonObject, id: unknown): boolean {
    if (typeof id !== "string") return false;
    if (isWhole(item)) this.#wholeItem(item, id);
    else if (helpfulItem.test(String(item["type"]))) this.#helpfulItem(item, id);
    else return item["type"] === "item_reference" && isGatewaysItem(id);
    return true;
  }

  #helpfulItem(item: JsonObject, id: string): void {
    const opened = this.#seal.open(this.#owner, id);
    if (opened === null && !isGatewaysItem(id)) this.failure ??= unknownObject(id);
    this.#wholeItem(item, id);
    if (opened !== null) this.helpful.push({ item, account: opened.account });
  }

  /** An id that the gateway didn't give goes no further; the item is whole without it. */
  #wholeItem(item: JsonObject, id: string): void {
    const opened = this.#seal.open(this.#owner, id);
    if (opened === null && looksSealed(id)) this.failure ??= unknownObject(id);
    if (opened === null) delete item["id"];
    else item["id"] = opened.id;
    this.changed = true;
  }
}

/** The parsed body has changed, so its bytes must. */
function note(shaped: Shaped, name: string): void {
  shaped.edits[name] = shaped.received.json[name];
  shaped.opened.push(name);
}

/**
 * Leaves out helpful items that other accounts than the chosen one made, which would be refused. Without a choice so far,
 * the account of the last of them is chosen if it serves the model.
 */
function chosenAccount(shaped: Shaped, opener: IdOpener, serves: (account: string) => boolean): string | null {
  const last = opener.helpful.at(-1)?.account ?? null;
  const account = opener.account ?? (last !== null && serves(last) ? last : null);
  if (opener.helpful.length === 0) return account;
  const useless = new Set<unknown>(opener.helpful.filter((kept) => kept.account !== account).map(({ item }) => item));
  const { json } = shaped.received;
  if (useless.size > 0 && Array.isArray(json["input"])) {
    json["input"] = (json["input"] as unknown[]).filter((item) => !useless.has(item));
    note(shaped, "input");
  }
  return account;
}

const anyAccount = { account: null };

/**
 * The provider that has to be asked, null where any will do. `serves`: whether an account has the model. Changes the
 * parsed body, and notes that among the edits.
 */
export function openRequest(
  shaped: Shaped,
  seal: IdSeal,
  owner: Owner,
  serves: (account: string) => boolean,
): { account: string | null } | Failure {
  const { json } = shaped.received;
  const within = carriers[shaped.format];
  let opener: IdOpener | null = null;
  for (const name in json) {
    if (within !== null && !within.has(name)) continue;
    if (name === "messages" && arePlain(json[name])) continue;
    // What the policy sets in its place goes to the provider as it is.
    const replaced = name in shaped.edits && name !== "messages";
    if (replaced) continue;
    opener ??= new IdOpener(seal, owner);
    opener.changed = false;
    opener.member(json, name);
    if (opener.changed && !(name in shaped.edits)) note(shaped, name);
  }
  if (opener === null) return anyAccount;
  return opener.failure ?? { account: chosenAccount(shaped, opener, serves) };
}
