/**
 * Files, batches and fine-tuning jobs: whose they are, and their ids in paths, bodies and lists. Whose an object is stands
 * with the provider, as a mark that only this installation can make: in a file's name, and in the metadata of batches and
 * jobs. It is taken out of every answer.
 */
import { type Failure, failure, isFailure } from "../failure.ts";
import { type IdSeal, looksSealed, type Owner } from "../identity/id-seal.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { editStrings } from "../wire/json-strings.ts";
import { isBatchRequest, isNamedAsRequest, type LineModel, mayBeRequest, withModelNamed } from "./batch-request.ts";
import { LineEditor } from "./lines.ts";
import { isIdAt } from "./members.ts";
import { IdOpener } from "./open-request.ts";
import { sealIds } from "./seal-reply.ts";
import { keptElsewhere, unknownObject } from "./unknown-object.ts";

const metadataName = "sluice_owner";
const markedName = /^sl1-([\w-]{16})-/;
/** A header that names a file, without the owner's mark. */
export const unmarked = (disposition: string): string => disposition.replace(/sl1-[\w-]{16}-/, "");

/** A line of a batch holds one whole request or answer. */
const maxLineBytes = 16_777_216;

const notJson = failure("invalid_json", "A request of a batch must be a JSON object on a line of its own.");

const notUtf8 = failure("invalid_json", "A request of a batch must be in UTF-8.");

/** Names what is wrong with an upload while it is being sent. */
export class UploadError extends Error {
  override readonly name = "UploadError";
  readonly failure: Failure;

  constructor(reason: Failure) {
    super(reason.message);
    this.failure = reason;
  }
}

export class ResourceIds {
  readonly #seal: IdSeal;
  readonly #owner: Owner;
  readonly #provider: string;

  constructor(seal: IdSeal, owner: Owner, provider: string) {
    this.#seal = seal;
    this.#owner = owner;
    this.#provider = provider;
  }

  /** The provider's own id, kept by this very provider. */
  open(sealed: string): string | Failure {
    const opened = this.#seal.open(this.#owner, sealed);
    return opened === null || opened.account !== this.#provider ? unknownObject(sealed) : opened.id;
  }

  /** A cursor of a list says where to go on, and gives nothing away: one that isn't sealed passes. */
  openCursor(cursor: string): string | Failure {
    return looksSealed(cursor) ? this.open(cursor) : cursor;
  }

  /** The body of a request that makes a batch or a job, with the provider's ids and the owner's mark. */
  request(json: JsonObject): JsonObject | Failure {
    const opened = this.opened(json);
    if (isFailure(opened)) return opened;
    const metadata = json["metadata"] ?? {};
    if (!isObject(metadata)) return failure("invalid_value", "`metadata` must be an object.", { param: "metadata" });
    return { ...json, metadata: { ...metadata, [metadataName]: this.#seal.mark(this.#owner) } };
  }

  /** The body of a request with the provider's ids. */
  opened(json: JsonObject): JsonObject | Failure {
    const opener = new IdOpener(this.#seal, this.#owner);
    for (const name of Object.keys(json)) opener.member(json, name);
    if (opener.failure !== null) return opener.failure;
    return opener.account !== null && opener.account !== this.#provider ? keptElsewhere : json;
  }

  /** Lines of the results of a batch of messages. `read` gets each of them. */
  resultLines(read: (line: string) => void): LineEditor {
    return new LineEditor(maxLineBytes, (line) => {
      read(line);
      return editStrings(line, (path, value) => {
        const message = path.indexOf("message");
        return value !== "" && message >= 0 && isIdAt(path.slice(message + 1), false) ? this.#sealId(value) : null;
      });
    });
  }

  #sealId(id: string): string {
    return this.#seal.seal(this.#owner, this.#provider, id);
  }

  #markOf(object: unknown): string | null {
    if (!isObject(object)) return null;
    const { metadata, filename } = object;
    const mark = isObject(metadata) ? metadata[metadataName] : null;
    if (typeof mark === "string") return mark;
    return typeof filename === "string" ? (markedName.exec(filename)?.[1] ?? null) : null;
  }

  isOwn(object: unknown): boolean {
    const mark = this.#markOf(object);
    return mark !== null && this.#seal.isMarkedFor(this.#owner, mark);
  }

  /** An object as the caller gets it. */
  answer(object: unknown): unknown {
    if (isObject(object)) {
      const { metadata } = object;
      if (isObject(metadata)) delete metadata[metadataName];
    }
    const text = JSON.stringify(object);
    const sealed = sealIds(text, (id) => this.#sealId(id), true);
    return jsonIn(
      editStrings(sealed, (path, value) =>
        path.at(-1) === "filename" && markedName.test(value) ? value.replace(markedName, "") : null,
      ),
    );
  }

  /** `name` as the provider keeps it. */
  markName(): string {
    return `sl1-${this.#seal.mark(this.#owner)}-`;
  }

  /** Lines of a batch's input on their way to the provider. Throws UploadError. */
  uploadLines(modelOf: LineModel): LineEditor {
    return new LineEditor(maxLineBytes, (line, number) => {
      const edited = this.#uploadLine(line, modelOf);
      if (edited === null || typeof edited === "string") return edited;
      throw new UploadError(failure(edited.code, `Line ${number}: ${edited.message}`, { param: "file" }));
    });
  }

  /** Whether there were any to open. */
  #openIds(body: JsonObject): boolean | Failure {
    const opener = new IdOpener(this.#seal, this.#owner);
    for (const name of Object.keys(body)) opener.member(body, name);
    if (opener.failure !== null) return opener.failure;
    return opener.account !== null && opener.account !== this.#provider ? keptElsewhere : opener.changed;
  }

  #uploadLine(line: string, modelOf: LineModel): string | Failure | null {
    // Some parsers recognise the encoding by its zero bytes.
    if (line.includes("\0") && isNamedAsRequest(line.replaceAll("\0", ""))) return notUtf8;
    if (!mayBeRequest(line)) return null;
    const text = line.replace(/^\ufeff/, "");
    const parsed = jsonIn(text);
    if (!isObject(parsed)) return isNamedAsRequest(line) ? notJson : null;
    const isRequest = isBatchRequest(parsed);
    if (typeof isRequest !== "boolean") return isRequest;
    const { body } = parsed;
    const opened = isObject(body) ? this.#openIds(body) : false;
    if (typeof opened !== "boolean") return opened;
    if (!isRequest) return opened ? `${JSON.stringify(parsed)}\n` : null;
    const model = modelOf(body, text);
    if (typeof model !== "string") return model;
    if (!opened) return withModelNamed(line, model);
    return `${JSON.stringify({ ...parsed, body: { ...(body as JsonObject), model } })}\n`;
  }

  /** Lines of a batch's output on their way to the caller. */
  downloadLines(): LineEditor {
    return new LineEditor(maxLineBytes, (line) => this.#downloadLine(line));
  }

  #downloadLine(line: string): string | null {
    if (!line.includes('"custom_id"')) return null;
    const root = /"object": ?"response"/.test(line);
    return editStrings(line, (path, value) => {
      const body = path.indexOf("body");
      if (value === "" || body < 0 || body > 1) return null;
      return isIdAt(path.slice(body + 1), root) ? this.#sealId(value) : null;
    });
  }
}
