/**
 * Sockets of upstreams, read past node:stream. By default each read gets 64 KiB of its own, which are cut to what came,
 * and goes through a queue, two ticks and an event of node:stream. Here all sockets read into one buffer, and what came
 * is copied out and handed on at once. In all else the socket is node:net's own: errors, its end, writing, TLS.
 */
import { Buffer } from "node:buffer";
import { type OnReadOpts, Socket } from "node:net";
import { Duplex } from "node:stream";

/** Beyond this nothing more is read until the reader has taken what there is. */
const mostWaitingBytes = 65_536;

/** What came and was not taken yet. */
interface Reads {
  waiting: Buffer[];
  waitingBytes: number;
  /** Nothing is read from the kernel for the time being. */
  stopped: boolean;
  ended: boolean;
}

const kReads = Symbol("reads");

interface DirectSocket extends Socket {
  [kReads]: Reads;
}

const arena = Buffer.allocUnsafeSlow(65_536);

/** Options of node:net and node:tls for a socket that `readDirectly` is called on as soon as it is connected. */
export const onread: OnReadOpts = {
  buffer: arena,
  // node:net calls it on the socket.
  callback(this: unknown, size: number): boolean {
    const socket = this as DirectSocket;
    const reads = socket[kReads];
    const chunk = Buffer.allocUnsafe(size);
    arena.copy(chunk, 0, 0, size);
    reads.waiting.push(chunk);
    reads.waitingBytes += size;
    socket.emit("readable");
    reads.stopped = reads.waitingBytes > mostWaitingBytes;
    return !reads.stopped;
  },
};

/** node:net's own `read`: begins to read from the kernel again, or sees that the end has come. */
function ownRead(socket: DirectSocket, size?: number): null {
  socket[kReads].stopped = false;
  return Socket.prototype.read.call(socket, size) as null;
}

/** As node:stream's `read` without a size: what there is, in the pieces in which it came; null where there is nothing yet. */
function read(this: DirectSocket, size?: number): Buffer | null {
  const reads = this[kReads];
  const chunk = size === 0 ? undefined : reads.waiting.shift();
  if (chunk !== undefined) {
    reads.waitingBytes -= chunk.length;
    if (reads.stopped && reads.waiting.length === 0) ownRead(this, 0);
    return chunk;
  }
  return reads.waiting.length === 0 && (size === 0 || reads.ended) ? ownRead(this, size) : null;
}

/** Bytes that were taken and are given back. */
function unshift(this: DirectSocket, chunk: Buffer): void {
  if (chunk.length === 0) return;
  const reads = this[kReads];
  reads.waiting.unshift(chunk);
  reads.waitingBytes += chunk.length;
}

/** Of its end alone node:net still tells a socket with `onread` in this way. */
function push(this: DirectSocket, chunk: unknown): boolean {
  this[kReads].ended ||= chunk === null;
  return Duplex.prototype.push.call(this, chunk);
}

/** `socket` was made with `onread` and has just been connected. Its reader uses `readable`, `read()` and `unshift`. */
export function readDirectly(socket: Socket): void {
  const reads: Reads = { waiting: [], waitingBytes: 0, stopped: false, ended: false };
  Object.assign(socket, { [kReads]: reads, read, unshift, push });
}
