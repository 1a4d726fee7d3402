/**
 * Reads accepted sockets into one shared buffer. node:net does this for sockets that it connects (`onread`) but has no
 * option for those that it accepts, which allocate 64 KiB for each read. Where Node's internals differ from what this
 * file expects, sockets are read through node:stream: slower, but no less correct.
 */
import { Buffer } from "node:buffer";
import { type OnReadOpts, Socket } from "node:net";

/** Returns false to pause reading. The bytes are overwritten by the next read of any socket. */
export type TakeBytes = (bytes: Buffer) => boolean;

const kTake = Symbol("take");
const sharedBytes = 65_536;
const shared = Buffer.allocUnsafeSlow(sharedBytes);

interface ReadSocket extends Socket {
  [kTake]?: TakeBytes;
}

/** Options of node:net and node:tls for a socket that is connected; call `takeReads` on it. */
export const sharedReads: OnReadOpts = {
  buffer: shared,
  // node:net calls this with the socket as `this`.
  callback(this: unknown, size: number): boolean {
    return (this as ReadSocket)[kTake]?.(shared.subarray(0, size)) ?? true;
  },
};

interface HandledSocket extends Socket {
  [internal: symbol]: unknown;
  _handle?: { useUserBuffer?(buffer: Buffer): void } | null;
}

/** The properties under which node:net keeps these options; null if there are none. */
function internals(): { buffer: symbol; callback: symbol } | null {
  const probe = new Socket({ onread: sharedReads }) as HandledSocket;
  const symbols = Object.getOwnPropertySymbols(probe);
  const buffer = symbols.find((symbol) => probe[symbol] === sharedReads.buffer);
  const callback = symbols.find((symbol) => probe[symbol] === sharedReads.callback);
  return buffer === undefined || callback === undefined ? null : { buffer, callback };
}

/** A copy of a part of the shared buffer, with memory of its own. */
export function ownCopy(bytes: Buffer, from: number, to: number): Buffer {
  const piece = Buffer.allocUnsafeSlow(to - from);
  bytes.copy(piece, 0, from, to);
  return piece;
}

const known = internals();

/** Whether accepted sockets read into the shared buffer, for the test that notices when Node changes. */
export const readsShared = known !== null;

/** Takes over the reading of an accepted socket on which nothing was read yet. */
export function readAccepted(socket: Socket, take: TakeBytes): void {
  const handled = socket as HandledSocket;
  const { _handle: handle } = handled;
  if (known === null || handle?.useUserBuffer === undefined) {
    socket.on("data", (bytes: Buffer) => {
      if (!take(bytes)) socket.pause();
    });
    return;
  }
  takeReads(socket, take);
  handled[known.buffer] = sharedReads.buffer;
  handled[known.callback] = sharedReads.callback;
  handle.useUserBuffer(shared);
  if (socket.readableLength > 0) take(socket.read() as Buffer);
  // Its end is an event of node:stream, which needs the stream to flow.
  socket.resume();
}

/** Takes the reads of a socket that was connected with `sharedReads`. */
export function takeReads(socket: Socket, take: TakeBytes): void {
  (socket as ReadSocket)[kTake] = take;
}

/** From now on the socket emits what it reads as `data`, as node:net's own do. */
export function releaseReads(socket: Socket): void {
  takeReads(socket, (bytes) => {
    socket.emit("data", Buffer.from(bytes));
    return true;
  });
}
