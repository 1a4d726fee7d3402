/**
 * Keys to refuse whatever the live config says. Additions apply at once. Removals apply once a config that was read
 * after them is live: the operator removes a revocation when the key's record says the same, and a proxy that still
 * serves an older record must not accept the key again.
 *
 * While the leader may be dead, operators that stand by send what they see. Each such message applies until its sender
 * replaces it, or until a config that was read after it is live.
 */
import { Buffer } from "node:buffer";
import {
  type Revocations,
  revocationsDocument,
  revocationsName,
  type StandbyRevocations,
  standbyRevocations,
} from "../config/revocations.ts";
import { acceptedSchemaVersions } from "../config/schema.ts";
import { parseJson } from "../wire/json.ts";

type Content = string | Uint8Array | null;

const none: Revocations = { schemaVersion: 1, id: "", digests: [] };

/** Operators come and go with their Pods. */
const maxStandbys = 16;

const unusable = `${revocationsName} does not fit the schema`;

/** null if the content can't be used. */
function parseAs<T extends { schemaVersion: number }>(
  schema: { safeParse(content: unknown): { success: true; data: T } | { success: false } },
  text: string,
): T | null {
  try {
    const parsed = schema.safeParse(parseJson(text));
    return parsed.success && acceptedSchemaVersions.includes(parsed.data.schemaVersion) ? parsed.data : null;
  } catch {
    return null;
  }
}

const parse = (text: string): Revocations | null => (text === "" ? none : parseAs(revocationsDocument, text));

export class RevokedKeys {
  #digests: ReadonlySet<string> = new Set();
  /** From the volume. */
  #mounted: ReadonlySet<string> = new Set();
  /** What was read from it since the config began to be read that is now being prepared; a part of `#mounted`. */
  #read = new Set<string>();
  #last = { text: "", revocations: none };
  /** What the operator sent, until the volume holds the same. A restart forgets it, and reads the volume. */
  #sent: Revocations | null = null;
  /** The last message of each operator that stood by, and how many reads had begun when it came. */
  readonly #standbys = new Map<string, { digests: readonly string[]; reads: number }>();
  #reads = 0;

  /** Names the content that came last; "" if there is none. */
  get id(): string {
    return (this.#sent ?? this.#last.revocations).id;
  }

  /** The same object until something is added or removed. */
  get digests(): ReadonlySet<string> {
    return this.#digests;
  }

  /** Takes what the operator sent. Returns the reason if it can't be used. */
  send(text: string): string | null {
    const revocations = parse(text);
    if (revocations === null) return unusable;
    this.#sent = revocations.id === this.#last.revocations.id ? null : revocations;
    this.#join();
    return null;
  }

  /** Takes what an operator sent that does not lead. Returns the reason if it can't be used. */
  sendStandby(text: string): string | null {
    const message: StandbyRevocations | null = parseAs(standbyRevocations, text);
    if (message === null) return unusable;
    const { sender, digests } = message;
    this.#standbys.delete(sender);
    if (digests.length > 0) this.#standbys.set(sender, { digests, reads: this.#reads });
    for (const oldest of this.#standbys.keys()) {
      if (this.#standbys.size <= maxStandbys) break;
      this.#standbys.delete(oldest);
    }
    this.#join();
    return null;
  }

  /** Takes what was read from the volume. Returns the reason if it can't be used; what was read before stays in use. */
  add(content: Content): string | null {
    const text = content === null ? "" : Buffer.from(content).toString("utf8");
    const revocations = text === this.#last.text ? this.#last.revocations : parse(text);
    if (revocations === null) return unusable;
    this.#last = { text, revocations };
    for (const digest of revocations.digests) this.#read.add(digest);
    this.#mounted = new Set([...this.#mounted, ...revocations.digests]);
    if (revocations.id === this.#sent?.id) this.#sent = null;
    this.#join();
    return null;
  }

  /** Call before a config is read, and `add` what is read at that time. */
  begin(): void {
    this.#read = new Set();
    this.#reads++;
  }

  /** Call when the config that was read since `begin` is live. */
  settle(): void {
    this.#mounted = new Set(this.#read);
    for (const [sender, { reads }] of this.#standbys) if (reads < this.#reads) this.#standbys.delete(sender);
    this.#join();
  }

  #join(): void {
    const standbys = [...this.#standbys.values()].flatMap(({ digests }) => digests);
    const digests = new Set([...this.#mounted, ...(this.#sent?.digests ?? []), ...standbys]);
    if (digests.size !== this.#digests.size || !digests.isSubsetOf(this.#digests)) this.#digests = digests;
  }
}
