/**
 * Reads upstream sockets without node:stream. By default each read allocates 64 KiB, trims it to what arrived, and goes
 * through a queue, two ticks and an event of node:stream. Here all sockets read into one buffer, and what arrived is
 * copied out and passed on at once. Everything else is node:net's own: errors, the end, writing, TLS.
 */
import { Buffer } from "node:buffer";
import { type OnReadOpts, Socket } from "node:net";
import { Duplex } from "node:stream";

/** Most bytes that one read takes from the kernel. */
const readBytes = 32_768;

/** Bytes that arrived and were not yet read by the consumer. */
interface Reads {
  waiting: Buffer[];
  waitingBytes: number;
  /** Whether reading from the kernel is paused. */
  stopped: boolean;
  ended: boolean;
}

const kReads = Symbol("reads");

interface DirectSocket extends Socket {
  [kReads]: Reads;
}

const arena = Buffer.allocUnsafeSlow(readBytes);

/** node:net and node:tls options for a socket on which `readDirectly` is called as soon as it is connected. */
export const onread: OnReadOpts = {
  buffer: arena,
  // node:net calls this with the socket as `this`.
  callback(this: unknown, size: number): boolean {
    const socket = this as DirectSocket;
    const reads = socket[kReads];
    const chunk = Buffer.allocUnsafe(size);
    arena.copy(chunk, 0, 0, size);
    reads.waiting.push(chunk);
    reads.waitingBytes += size;
    socket.emit("readable");
    // A reader that leaves something has paused.
    reads.stopped = reads.waitingBytes > readBytes;
    return !reads.stopped;
  },
};

/** node:net's own `read`: resumes reading from the kernel, or detects the end. */
function ownRead(socket: DirectSocket, size?: number): null {
  socket[kReads].stopped = false;
  return Socket.prototype.read.call(socket, size) as null;
}

/** Like node:stream's `read` without a size: returns what arrived, piece by piece; null if nothing is buffered. */
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

/** Puts back bytes that were read. */
function unshift(this: DirectSocket, chunk: Buffer): void {
  if (chunk.length === 0) return;
  const reads = this[kReads];
  reads.waiting.unshift(chunk);
  reads.waitingBytes += chunk.length;
}

/** node:net reports only the end in this way to a socket with `onread`. */
function push(this: DirectSocket, chunk: unknown): boolean {
  this[kReads].ended ||= chunk === null;
  return Duplex.prototype.push.call(this, chunk);
}

/** `socket` was created with `onread` and has just connected. Its reader uses `readable`, `read()` and `unshift`. */
export function readDirectly(socket: Socket): void {
  const reads: Reads = { waiting: [], waitingBytes: 0, stopped: false, ended: false };
  Object.assign(socket, { [kReads]: reads, read, unshift, push });
}
