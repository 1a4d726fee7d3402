/** Models whose provider recently reported usage that no such call can have. The operator turns them into Events. */
import type { AttemptRecord, CallRecord } from "../call/record.ts";

/** How long a report stays listed, in milliseconds. */
const listedForMs = 3_600_000;

export class ImplausibleReports {
  readonly #nowMs: () => number;
  /** Provider → model → time of its last implausible report. */
  readonly #last = new Map<string, Map<string, number>>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  record(call: CallRecord): void {
    for (let index = 0; index < call.attempts.length; index++) {
      const { provider, model, implausible } = call.attempts[index] as AttemptRecord;
      if (!implausible) continue;
      let models = this.#last.get(provider);
      if (models === undefined) this.#last.set(provider, (models = new Map()));
      models.set(model, this.#nowMs());
    }
  }

  /** Returns the models of a provider, sorted. */
  of(provider: string): string[] {
    const since = this.#nowMs() - listedForMs;
    const models = [...(this.#last.get(provider) ?? [])].filter(([, atMs]) => atMs >= since);
    return models.map(([model]) => model).sort();
  }
}
