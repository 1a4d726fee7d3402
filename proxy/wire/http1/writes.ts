/**
 * Writes a message's head and body in one piece, from a buffer that all connections share. The kernel usually takes
 * such a write at once, and then the buffer is free again: nothing is allocated, and no text is copied twice.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { maxJoinedBytes } from "../framing.ts";
import type { TextBytes } from "../text-bytes.ts";

const sharedBytes = 65_536;
let shared = Buffer.allocUnsafeSlow(sharedBytes);
/** Bytes at the start of the buffer that sockets still have to send. */
let kept = 0;

/** Returns false if the socket is full. */
export function writeJoined(socket: Socket, head: TextBytes, body: Uint8Array): boolean {
  const length = head.length + body.length;
  if (body.length > maxJoinedBytes || length > sharedBytes) {
    socket.cork();
    socket.write(head.toString("latin1"), "latin1");
    const room = socket.write(body);
    socket.uncork();
    return room;
  }
  if (kept + length > sharedBytes) {
    shared = Buffer.allocUnsafeSlow(sharedBytes);
    kept = 0;
  }
  const from = kept;
  head.copyTo(shared, from);
  shared.set(body, from + head.length);
  const room = socket.write(shared.subarray(from, from + length));
  // The bytes stay until they are sent: a full socket, or TLS, which encrypts them later.
  if (socket.writableLength > 0) kept = from + length;
  return room;
}
