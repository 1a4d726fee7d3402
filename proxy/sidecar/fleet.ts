/** Addresses of the gateway. Each call starts at the next one; those that failed recently come last. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

export interface Address {
  /** Scheme, name and port as configured: the name is used for TLS and the Host header. */
  url: URL;
  /** Where to connect. */
  host: string;
  port: number;
}

export type Resolve = (name: string) => Promise<string[]>;

const resolvedMs = 5_000;
const avoidedMs = 10_000;

const resolveName: Resolve = async (name) => (await lookup(name, { all: true })).map(({ address }) => address);

export class Fleet {
  readonly #urls: readonly URL[];
  readonly #nowMs: () => number;
  readonly #resolve: Resolve;
  readonly #tunnelled: (url: URL) => boolean;
  #known: Address[] = [];
  #knownMs = Number.NEGATIVE_INFINITY;
  #next = 0;
  readonly #failedMs = new Map<string, number>();

  /** `tunnelled`: whether a URL is reached through an egress proxy, which resolves the name itself. */
  constructor(
    urls: readonly string[],
    nowMs: () => number,
    resolve: Resolve = resolveName,
    tunnelled: (url: URL) => boolean = () => false,
  ) {
    this.#tunnelled = tunnelled;
    this.#urls = urls.map((url) => new URL(url));
    this.#nowMs = nowMs;
    this.#resolve = resolve;
  }

  async #addresses(): Promise<Address[]> {
    if (this.#nowMs() - this.#knownMs < resolvedMs && this.#known.length > 0) return this.#known;
    const answers = await Promise.all(this.#urls.map((url) => this.#of(url)));
    // If the name server is unavailable, the known addresses stay.
    if (answers.some((addresses) => addresses.length > 0)) this.#known = answers.flat();
    this.#knownMs = this.#nowMs();
    return this.#known;
  }

  async #of(url: URL): Promise<Address[]> {
    const name = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    const known = isIP(name) !== 0 || this.#tunnelled(url);
    const hosts = !known ? await this.#resolve(name).catch(() => []) : [name];
    return hosts.map((host) => ({ url, host, port }));
  }

  /** Addresses to try, in order: at least `count`, repeating them if there are fewer. */
  async candidates(count: number): Promise<Address[]> {
    const known = await this.#addresses();
    if (known.length === 0) return [];
    const start = this.#next++ % known.length;
    const turned = [...known.slice(start), ...known.slice(0, start)];
    const avoided = (address: Address): boolean =>
      this.#nowMs() - (this.#failedMs.get(`${address.host} ${address.port}`) ?? Number.NEGATIVE_INFINITY) < avoidedMs;
    const ordered = [...turned.filter((address) => !avoided(address)), ...turned.filter(avoided)];
    return Array.from({ length: count }, (_, index) => ordered[index % ordered.length] as Address);
  }

  failed(address: Address): void {
    this.#failedMs.set(`${address.host} ${address.port}`, this.#nowMs());
  }

  reached(address: Address): void {
    this.#failedMs.delete(`${address.host} ${address.port}`);
  }
}
