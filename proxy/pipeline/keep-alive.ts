/**
 * Sends comments in a stream whose first content is late, because load balancers close idle connections. With the first
 * comment the status becomes 200, so a later failure is an event in the stream. Other targets may still be asked.
 * Comments (https://html.spec.whatwg.org/multipage/server-sent-events.html) have no meaning in any dialect.
 */
import type { ClientConnection } from "../wire/client.ts";
import type { Deadlines, Timed } from "../wire/deadlines.ts";
import { asEventStream } from "./answer-headers.ts";

const comment = ": keep-alive\n\n";

export class KeepAlive implements Timed {
  place = -1;
  dueMs = 0;
  readonly #client: ClientConnection;
  readonly #deadlines: Deadlines;
  readonly #everyMs: number;
  /** Bytes sent as of the last comment: any beyond that belong to the answer. */
  #sentBytes = 0;

  constructor(client: ClientConnection, deadlines: Deadlines, everyMs: number) {
    this.#client = client;
    this.#deadlines = deadlines;
    this.#everyMs = everyMs;
    deadlines.set(this, deadlines.nowMs() + everyMs);
  }

  expired(): void {
    const client = this.#client;
    if (client.closed || client.sentBytes > this.#sentBytes) return;
    if (!client.started) client.streamHead(asEventStream({ "x-request-id": client.requestId }));
    client.writeRaw(comment);
    this.#sentBytes = client.sentBytes;
    this.#deadlines.set(this, this.#deadlines.nowMs() + this.#everyMs);
  }

  stop(): void {
    this.#deadlines.lift(this);
  }
}
