/**
 * The key that a connection presented last, with its digest. An application sends the same key with every call, and to
 * digest it costs more than most stages do. What a digest stands for is looked up for every call.
 */
import type { KeyedDigester } from "../config/encode.ts";

export class LastKey {
  #clear = "";
  #digest = "";
  #digester: KeyedDigester | null = null;

  digestOf(clear: string, digester: KeyedDigester): string {
    if (this.#digester === digester && isSame(clear, this.#clear)) return this.#digest;
    this.#digest = digester.digest(clear);
    this.#clear = clear;
    this.#digester = digester;
    return this.#digest;
  }
}

/** Takes the same time wherever the texts differ: a load balancer may send the calls of others on this connection. */
function isSame(text: string, last: string): boolean {
  let difference = text.length ^ last.length;
  for (let index = 0; index < text.length; index++) difference |= text.charCodeAt(index) ^ last.charCodeAt(index);
  return difference === 0;
}
