/**
 * The last usable destinations of channels. Anyone alerted to a start must also be notified of the end, even if the
 * spec, the object or the Secret is gone by then. Kept in memory, and only while an alert is open.
 */
import type { Channel, ChannelName } from "../compile/alerts.ts";

export interface ReachableChannel {
  channel: Channel;
  /** Digest → clear value, as in Due. */
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
    const channel = channels.find((channel) => channel.place === place);
    const previous = before.get(place);
    if (channel !== undefined) reach.set(place, { channel, kept: keptOf(channel, values) });
    // Its Secret is currently missing.
    else if (previous !== undefined) reach.set(place, { ...previous, channel: { ...previous.channel, id } });
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

/**
 * Ids of channels, as a status remembers them, after entries were added or removed. null: their previous names are
 * unknown.
 */
export function renamedChannels(
  ids: readonly string[],
  before: readonly ChannelName[] | null,
  now: readonly ChannelName[],
): string[] {
  const places = new Map(before?.map(({ id, place }) => [id, place]));
  const kept = (name: ChannelName): boolean =>
    ids.some((id) => (before === null ? id === name.id : places.get(id) === name.place));
  return now.filter(kept).map(({ id }) => id);
}

/** Channels that the spec no longer names. */
export const removedChannels = (reach: ChannelSnapshot, now: readonly ChannelName[]): ReachableChannel[] =>
  [...reach].filter(([place]) => !now.some((name) => name.place === place)).map(([, channel]) => channel);
