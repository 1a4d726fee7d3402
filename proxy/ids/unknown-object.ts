/** The answer for an id that leads nowhere. */
import { type Failure, failure } from "../failure.ts";

export const unknownObject = (id: string): Failure =>
  failure(
    "resource_not_found",
    `You have no object ${JSON.stringify(id.slice(0, 128))} that was created through this gateway. Use an id exactly as an answer gave it to you, with a key of the same user.`,
  );

export const keptElsewhere = failure(
  "resource_not_found",
  "The request continues something that is stored at a provider which doesn't serve this model. Use the model that created it.",
);
