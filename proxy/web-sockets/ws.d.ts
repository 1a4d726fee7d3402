/** The part of `ws` that is used. */
declare module "ws" {
  import type { Buffer } from "node:buffer";
  import type { EventEmitter } from "node:events";
  import type { IncomingMessage } from "node:http";
  import type { Duplex } from "node:stream";

  export class WebSocket extends EventEmitter {
    static readonly OPEN: number;
    readonly readyState: number;
    readonly isPaused: boolean;
    constructor(url: string, options?: { headers?: Record<string, string>; [option: string]: unknown });
    send(data: string | Buffer): void;
    ping(): void;
    pong(data: Buffer): void;
    pause(): void;
    resume(): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
    on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): this;
    on(event: "close", listener: (code: number, reason: Buffer) => void): this;
    on(event: "ping" | "pong", listener: (data: Buffer) => void): this;
    on(event: "open", listener: () => void): this;
    on(event: "unexpected-response", listener: (request: unknown, response: IncomingMessage) => void): this;
    on(event: "error", listener: (cause: Error) => void): this;
  }

  export class WebSocketServer extends EventEmitter {
    constructor(options: {
      noServer: true;
      clientTracking: false;
      perMessageDeflate: false;
      autoPong: false;
      maxPayload: number;
      handleProtocols?: (protocols: Set<string>) => string | false;
    });
    handleUpgrade(
      request: Pick<IncomingMessage, "headers" | "method" | "url">,
      socket: Duplex,
      head: Buffer,
      done: (client: WebSocket) => void,
    ): void;
  }
}
