/**
 * A client's WebSocket on `/v1/responses`. Each `response.create` is served as a call of its own. Those of a lane are
 * served one after another, and lanes side by side.
 *
 *   message ──▶ lane's queue ──▶ exchange ──▶ every stage of a call ──▶ events as messages ──▶ next in the lane
 */
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { WebSocket } from "ws";
import { failures } from "../failure.ts";
import { randomId } from "../random-id.ts";
import type { ClientExchange } from "../wire/client-exchange.ts";
import type { IndexedMember } from "../wire/indexed-set.ts";
import type { JsonObject } from "../wire/json.ts";
import type { Chains, EarlierTurns } from "./chains.ts";
import { type CreateEvent, type EventProblem, joinedItems, outputItems, readEvent, warmedUp } from "./create-event.ts";
import type { EventRoom } from "./event-room.ts";
import { type ResponseSink, SocketExchange } from "./exchange.ts";
import { type Lane, Lanes, maxLanes } from "./lanes.ts";
import { nextTurn } from "./next-turn.ts";

/** As OpenAI documents them. */
const maxUnderWay = 16;
/** Events that wait for their turn; a client that sends more is not read for now. */
const maxWaiting = 8;
/** A connection with this many events that can't be read is not this API's. */
const maxRefused = 100;
/** How long a client that was cut off has to read why. */
const cutOffMs = 2_000;

export interface SocketTimes {
  /** A connection without a response for this long is closed, in milliseconds. */
  idleMs: number;
  /** A connection is closed after this time, in milliseconds. */
  maxMs: number;
  pingMs: number;
}

export interface SocketParts {
  owner: string;
  url: string;
  rawHeaders: readonly string[];
  socket: Socket;
  room: EventRoom;
  chains: Chains;
  times: SocketTimes;
  handle(exchange: ClientExchange): void;
  closing(): boolean;
}

const statusCodes = { normal: 1000, goingAway: 1001, unsupported: 1003, policy: 1008, tryAgainLater: 1013 } as const;

export class ResponsesSocket implements IndexedMember {
  place = -1;
  readonly #ws: WebSocket;
  readonly #parts: SocketParts;
  readonly #lanes = new Lanes();
  readonly #underWay = new Set<SocketExchange>();
  readonly #openedMs: number;
  #usedMs: number;
  #pingedMs: number;
  #answersPings = true;
  #refused = 0;
  #limitSaid = false;

  constructor(ws: WebSocket, parts: SocketParts, nowMs: number) {
    this.#ws = ws;
    this.#parts = parts;
    this.#openedMs = this.#usedMs = this.#pingedMs = nowMs;
    // Before `ws` reads it.
    parts.socket.prependListener("data", (bytes: Buffer) => this.#came(bytes.length));
    ws.on("message", (data, isBinary) => this.#message(data, isBinary));
    ws.on("ping", (data) => {
      parts.room.read(data.length);
      this.#pong(data);
    });
    ws.on("pong", (data) => {
      parts.room.read(data.length);
      this.#answersPings = true;
    });
    // Malformed frames and messages that are too large: ws has closed the connection with the code for it.
    ws.on("error", () => undefined);
  }

  onClose(listener: () => void): void {
    this.#ws.on("close", () => {
      for (const exchange of this.#underWay) exchange.lose();
      for (const lane of this.#lanes.all()) this.#parts.chains.forget(this.owner, lane);
      this.#parts.room.release();
      listener();
    });
  }

  get owner(): string {
    return this.#parts.owner;
  }

  get usedMs(): number {
    return this.#usedMs;
  }

  get isIdle(): boolean {
    return this.#underWay.size === 0 && this.#lanes.waiting === 0 && this.#ws.readyState === WebSocket.OPEN;
  }

  /** Another owner, who has fewer connections, gets the place. */
  displace(): void {
    this.#ws.close(statusCodes.tryAgainLater, "too many connections");
  }

  #came(bytes: number): void {
    const refused = this.#parts.room.came(bytes);
    if (refused === null || this.#ws.readyState !== WebSocket.OPEN) return;
    const { code, message } = refused;
    const { status, type } = failures[code];
    this.#send("", JSON.stringify({ type: "error", status, error: { type, code, message, param: null } }));
    this.#cutOff(statusCodes.tryAgainLater, code);
  }

  #message(data: Buffer, isBinary: boolean): void {
    this.#usedMs = performance.now();
    this.#parts.room.read(data.length);
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    if (isBinary) {
      this.#ws.close(statusCodes.unsupported, "send events as text");
      return;
    }
    const event = readEvent(data);
    if ("message" in event) this.#refuse(event);
    else this.#queue(event);
  }

  /** A client that sends without reading is not read either. */
  #refuse(problem: EventProblem): void {
    this.#problem(problem, "");
    if (++this.#refused > maxRefused) {
      this.#ws.close(statusCodes.policy, "too many events that can't be read");
      return;
    }
    const { socket } = this.#parts;
    if (!socket.writableNeedDrain) return;
    this.#ws.pause();
    socket.once("drain", () => this.#ws.resume());
  }

  #pong(data: Buffer): void {
    if (!this.#parts.socket.writableNeedDrain) this.#ws.pong(data);
  }

  #queue(event: CreateEvent): void {
    if (this.#isOver()) {
      this.#sayLimit();
      return;
    }
    if (!this.#lanes.add(event)) {
      const message = `A connection has at most ${maxLanes} values of stream_id. Open another connection.`;
      this.#problem({ code: "websocket_stream_limit_reached", message, param: "stream_id" }, event.lane);
      return;
    }
    this.#parts.room.waits(event.bytes.length);
    this.#advance();
    if (this.#lanes.waiting > maxWaiting) this.#ws.pause();
  }

  /** Starts what may start. */
  #advance(): void {
    for (const lane of this.#lanes.all()) {
      if (this.#underWay.size >= maxUnderWay) break;
      const event = this.#lanes.next(lane);
      if (event === null) continue;
      this.#parts.room.begins(event.bytes.length);
      this.#start(lane, event);
    }
    if (this.#lanes.waiting <= maxWaiting && this.#ws.isPaused && this.#ws.readyState === WebSocket.OPEN)
      this.#ws.resume();
  }

  #start(lane: Lane, event: CreateEvent): void {
    const turn = nextTurn(event, event.previous === "" ? null : this.#earlierTurns(event.previous));
    if (turn.kind === "problem") {
      this.#problem(turn.problem, lane.name);
      this.#next(lane);
      return;
    }
    if (turn.kind === "warmUp") {
      this.#warmUp(lane, event, turn.items);
      return;
    }
    const { body, items, isStored } = turn;
    lane.isBusy = true;
    const exchange = new SocketExchange(this.#parts.url, this.#parts.rawHeaders, body, {
      ...this.#sinkOf(lane, items, isStored),
      ended: (failed) => {
        this.#underWay.delete(exchange);
        this.#usedMs = performance.now();
        if (failed) this.#parts.chains.forget(this.owner, lane);
        // The next turn begins after this one was recorded.
        setImmediate(() => this.#next(lane));
      },
    });
    this.#underWay.add(exchange);
    this.#parts.handle(exchange);
  }

  #sinkOf(lane: Lane, items: string | null, isStored: boolean): Omit<ResponseSink, "ended"> {
    return {
      socket: this.#parts.socket,
      send: (text) => this.#send(lane.name, text),
      completed: (response) => {
        if (items !== null) this.#keep(lane, items, response, isStored);
      },
      terminate: () => this.#ws.terminate(),
    };
  }

  #keep(lane: Lane, items: string, { id, output }: JsonObject, isStored: boolean): void {
    if (typeof id !== "string") return;
    this.#parts.chains.keep(this.owner, lane, {
      responseId: id,
      items: joinedItems(items, outputItems(output, isStored)),
    });
  }

  /** A new lane may go on from a response of another. */
  #earlierTurns(responseId: string): EarlierTurns | null {
    for (const lane of this.#lanes.all()) {
      const turns = this.#parts.chains.of(this.owner, lane, responseId);
      if (turns !== null) return turns;
    }
    return null;
  }

  /** `generate: false` has no output: the turn is remembered, and no provider is asked. */
  #warmUp(lane: Lane, event: CreateEvent, items: string): void {
    const id = `resp_${randomId()}`;
    for (const text of warmedUp(event, id, Date.now())) this.#send(lane.name, text);
    this.#parts.chains.keep(this.owner, lane, { responseId: id, items });
    this.#next(lane);
  }

  #next(lane: Lane): void {
    lane.isBusy = false;
    if (this.#parts.closing() && this.#underWay.size === 0) this.#ws.close(statusCodes.goingAway, "restarting");
    else this.#advance();
  }

  #send(lane: string, text: string): void {
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    this.#ws.send(lane === "" ? text : `{"stream_id":${JSON.stringify(lane)},${text.slice(text.indexOf("{") + 1)}`);
  }

  /** Nothing more is read, not even the answer to the close. */
  #cutOff(status: number, reason: string): void {
    this.#ws.close(status, reason);
    this.#ws.pause();
    setTimeout(() => this.#ws.terminate(), cutOffMs).unref();
  }

  #problem({ code, message, param }: EventProblem, lane: string): void {
    const error = { type: "invalid_request_error", code, message, param };
    this.#send(lane, JSON.stringify({ type: "error", status: 400, error }));
  }

  #isOver(): boolean {
    return performance.now() - this.#openedMs >= this.#parts.times.maxMs;
  }

  #sayLimit(): void {
    if (this.#limitSaid) return;
    this.#limitSaid = true;
    const message = "This connection has reached its maximum duration. Open another one.";
    this.#problem({ code: "websocket_connection_limit_reached", message, param: null }, "");
    if (this.#underWay.size === 0) this.#ws.close(statusCodes.normal, "connection limit");
  }

  /** Call it regularly: closes what is idle, too old, too slow or gone. `atPace`: it is time to look at the pace. */
  look(nowMs: number, atPace: boolean): void {
    const { idleMs, pingMs } = this.#parts.times;
    if (this.#underWay.size === 0) {
      if (this.#parts.closing()) this.#ws.close(statusCodes.goingAway, "restarting");
      else if (this.#isOver()) {
        this.#sayLimit();
        this.#ws.close(statusCodes.normal, "connection limit");
      } else if (nowMs - this.#usedMs >= idleMs) this.#ws.close(statusCodes.normal, "idle");
    }
    if (atPace && this.#parts.room.isSlow(this.#ws.isPaused)) {
      this.#cutOff(statusCodes.policy, "the event arrives too slowly");
      return;
    }
    if (nowMs - this.#pingedMs < pingMs) return;
    // A client that is not read can't answer.
    if (!this.#answersPings && !this.#ws.isPaused) {
      this.#ws.terminate();
      return;
    }
    this.#pingedMs = nowMs;
    this.#answersPings = false;
    if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping();
  }
}
