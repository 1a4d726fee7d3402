/** A provider in virtual time: a limit of requests a minute, and weather that changes. */
import { Buffer } from "node:buffer";
import type { UpstreamCall, UpstreamHandler, UpstreamRequest } from "../../proxy/wire/upstream.ts";
import type { UpstreamAddress } from "../../proxy/wire/upstream-address.ts";
import { answer, frames } from "../harness/faults.ts";

/** How a provider does at a moment. */
export interface Weather {
  /** Requests a minute that it takes; null: any. */
  perMinute: number | null;
  /** Shares of the calls, 0 to 1. */
  refuses: number;
  says503: number;
  resets: number;
  /** Milliseconds to the first byte: at least, and at most. */
  firstByteMs: readonly [number, number];
}

export const fine: Weather = { perMinute: null, refuses: 0, says503: 0, resets: 0, firstByteMs: [200, 900] };

interface Clock {
  nowMs(): number;
  random(): number;
}

const minuteMs = 60_000;
const frameMs = 30;
const networkMs = 20;

export class SimulatedProvider {
  readonly #clock: Clock;
  readonly #weather: () => Weather;
  /** When the calls of the last minute that were let in came. */
  #taken: number[] = [];
  calls = 0;

  constructor(clock: Clock, weather: () => Weather) {
    this.#clock = clock;
    this.#weather = weather;
  }

  #overLimit(perMinute: number | null): boolean {
    const nowMs = this.#clock.nowMs();
    this.#taken = this.#taken.filter((at) => at > nowMs - minuteMs);
    if (perMinute !== null && this.#taken.length >= perMinute) return true;
    this.#taken.push(nowMs);
    return false;
  }

  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    this.calls++;
    let over = false;
    const later = (ms: number, then: () => void): void => void setTimeout(() => over || then(), ms);
    const whole = (status: number, body: string, ms: number): void =>
      later(ms, () => {
        handler.head(status, { "content-type": "application/json" });
        handler.data(Buffer.from(body));
        if (!over) handler.end();
      });
    const weather = this.#weather();
    const luck = this.#clock.random();
    const [least, most] = weather.firstByteMs;
    const firstMs = least + this.#clock.random() * (most - least);
    if (luck < weather.refuses) later(networkMs, () => handler.error("connect", new Error("refused")));
    else if (luck < weather.refuses + weather.resets)
      later(networkMs * 2, () => handler.error("reset", new Error("reset")));
    else if (luck < weather.refuses + weather.resets + weather.says503)
      whole(503, '{"error":{"message":"overloaded"}}', networkMs);
    else if (this.#overLimit(weather.perMinute)) whole(429, '{"error":{"message":"too many requests"}}', networkMs);
    else if (String(request.body).includes('"stream":true')) {
      later(firstMs, () => handler.head(200, { "content-type": "text/event-stream" }));
      for (const [index, frame] of frames.entries())
        later(firstMs + index * frameMs, () => handler.data(Buffer.from(frame)));
      later(firstMs + frames.length * frameMs, () => handler.end());
    } else whole(200, answer, firstMs);
    return {
      abort() {
        over = true;
      },
      resume: () => undefined,
      sent: true,
    };
  }
}

/** In the place of the pools of connections: origin → provider. */
export function simulatedUpstreams(providers: ReadonlyMap<string, SimulatedProvider>) {
  return {
    send(address: UpstreamAddress, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
      const provider = providers.get(address.origin);
      if (provider === undefined) throw new Error(`nothing is simulated at ${address.origin}`);
      return provider.send(request, handler);
    },
  };
}
