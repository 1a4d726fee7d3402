/**
 * A TCP forwarder whose connections can be frozen: they stay open and carry nothing, as after a NAT or a load balancer
 * has forgotten them. New connections work.
 */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface FreezingForwarder {
  readonly port: number;
  /** Connections made so far. */
  made(): number;
  /** Freezes all connections that are open now. */
  freeze(): void;
  /** Drops all answers on the connections that are open now: what is sent still arrives. */
  mute(): void;
  /** Breaks all connections. */
  cut(): void;
  close(): Promise<void>;
}

export async function startFreezingForwarder(to: { host: string; port: number }): Promise<FreezingForwarder> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let made = 0;
  const server = createServer((client) => {
    made += 1;
    const upstream = connect(to.port, to.host);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    client.pipe(upstream);
    upstream.pipe(client);
    for (const [one, other] of [pair, [upstream, client] as const]) {
      one.on("error", () => other.destroy());
      one.on("close", () => {
        pairs.delete(pair);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    made: () => made,
    freeze() {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream);
        upstream.unpipe(client);
        client.pause();
        upstream.pause();
      }
    },
    mute() {
      for (const [client, upstream] of pairs) {
        upstream.unpipe(client);
        upstream.resume();
      }
    },
    cut() {
      for (const [client] of pairs) client.destroy();
    },
    async close() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
