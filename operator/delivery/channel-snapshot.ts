/**
 * Where channels led when they could last be used. Whoever was told that something began is to hear that it is over, also
 * where the spec, the object or the Secret is gone by then. In memory, and only while there is something to be over.
 */
import type { Channel, ChannelName } from "../compile/alerts.ts";

export interface ReachableChannel {
  channel: Channel;
  /** Digest → clear value, as Due has it. */
  kept: ReadonlyMap<string, string>;
}

/** By place. */
export type ChannelSnapshot = ReadonlyMap<string, ReachableChannel>;

export const noChannels: ChannelSnapshot = new Map();

export interface Channels {
  channels: readonly Channel[];
  named: readonly ChannelName[];
}

/** `values`: digest → clear value of what is referred to now. */
export function channelSnapshot(
  before: ChannelSnapshot,
  { channels, named }: Channels,
  values: ReadonlyMap<string, string>,
): ChannelSnapshot {
  const reach = new Map<string, ReachableChannel>();
  for (const { id, place } of named) {
    const channel = channels.find((one) => one.place === place);
    const last = before.get(place);
    if (channel !== undefined) reach.set(place, { channel, kept: keptOf(channel, values) });
    // Its Secret is missing just now.
    else if (last !== undefined) reach.set(place, { ...last, channel: { ...last.channel, id } });
  }
  return reach;
}

function keptOf({ secret, signingKey }: Channel, values: ReadonlyMap<string, string>): Map<string, string> {
  const kept = new Map<string, string>();
  for (const digest of [secret, signingKey]) {
    const value = digest === null ? undefined : values.get(digest);
    if (digest !== null && value !== undefined) kept.set(digest, value);
  }
  return kept;
}

/** Ids of channels, as a status remembers them, after entries have come or gone. null: nobody knows what they were named before. */
export function renamedChannels(
  ids: readonly string[],
  before: readonly ChannelName[] | null,
  now: readonly ChannelName[],
): string[] {
  const places = new Map(before?.map(({ id, place }) => [id, place]));
  const kept = (one: ChannelName): boolean =>
    ids.some((id) => (before === null ? id === one.id : places.get(id) === one.place));
  return now.filter(kept).map(({ id }) => id);
}

/** Those that the spec no longer names. */
export const removedChannels = (reach: ChannelSnapshot, now: readonly ChannelName[]): ReachableChannel[] =>
  [...reach].filter(([place]) => !now.some((one) => one.place === place)).map(([, one]) => one);
