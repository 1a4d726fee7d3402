/** The console's sources: objects with their status, the published config, and the proxies' status ports. */
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import type { WorldObject } from "../compile/world.ts";

export interface PublishedState {
  config: RenderedConfig | null;
  /** "" before anything was published. */
  revision: string;
  objects: readonly WorldObject[];
}

export interface StatusPortClient {
  /** The Pod's name, or the address of a proxy outside the cluster. */
  name: string;
  /** The JSON at a path of the proxy's status port. Throws if there is no answer. */
  get(path: string): Promise<unknown>;
}

export interface ConsoleSource {
  read(): Promise<PublishedState>;
  proxies(): Promise<StatusPortClient[]>;
}
