/** Puts items in an order in which namespaces take turns. `start`: how many items earlier orders have served. */
export function inTurns<T>(items: readonly T[], namespaceOf: (item: T) => string, start: number): T[] {
  const byNamespace = new Map<string, T[]>();
  for (const item of items) {
    const namespace = namespaceOf(item);
    const list = byNamespace.get(namespace);
    if (list === undefined) byNamespace.set(namespace, [item]);
    else list.push(item);
  }
  // Begins elsewhere each time, so that items that keep failing don't hold up others.
  const rotated = <U>(list: readonly U[]): U[] => {
    const from = start % list.length;
    return [...list.slice(from), ...list.slice(0, from)];
  };
  const queues = rotated([...byNamespace.values()]).map(rotated);
  const order: T[] = [];
  const longest = Math.max(0, ...queues.map(({ length }) => length));
  for (let round = 0; round < longest; round++)
    for (const queue of queues) if (round < queue.length) order.push(queue[round] as T);
  return order;
}
