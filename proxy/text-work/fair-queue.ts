/** Waiting work, bounded for each namespace. Namespaces take turns, so that one with much work delays no other. */
export class FairQueue<T> {
  readonly #most: number;
  /** Namespaces in the order of their turns. */
  readonly #waiting = new Map<string, T[]>();
  #size = 0;

  /** `most`: how many jobs of one namespace may wait. */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  hasRoom(namespace: string): boolean {
    return (this.#waiting.get(namespace)?.length ?? 0) < this.#most;
  }

  add(namespace: string, job: T): void {
    const jobs = this.#waiting.get(namespace);
    if (jobs === undefined) this.#waiting.set(namespace, [job]);
    else jobs.push(job);
    this.#size++;
  }

  /** The first job of the next namespace that `mayRun` accepts. That namespace then waits for all others. */
  take(mayRun: (namespace: string) => boolean): T | undefined {
    for (const [namespace, jobs] of this.#waiting) {
      if (!mayRun(namespace)) continue;
      const job = jobs.shift();
      this.#waiting.delete(namespace);
      if (jobs.length > 0) this.#waiting.set(namespace, jobs);
      if (job !== undefined) this.#size--;
      return job;
    }
    return undefined;
  }

  /** Removes a job that nobody waits for any more. Returns whether it was there. */
  remove(namespace: string, job: T): boolean {
    const jobs = this.#waiting.get(namespace);
    const place = jobs?.indexOf(job) ?? -1;
    if (jobs === undefined || place < 0) return false;
    jobs.splice(place, 1);
    if (jobs.length === 0) this.#waiting.delete(namespace);
    this.#size--;
    return true;
  }

  /** Removes all. */
  clear(): T[] {
    const all = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    this.#size = 0;
    return all;
  }
}
