import type { CreateEvent } from "./create-event.ts";

/** Responses of a connection that are served one after another. */
export class Lane {
  readonly name: string;
  readonly waiting: CreateEvent[] = [];
  isBusy = false;

  constructor(name: string) {
    this.name = name;
  }
}
