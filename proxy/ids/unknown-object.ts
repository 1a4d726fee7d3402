/** The answer for an id that leads nowhere. */
import { type Failure, failure } from "../failure.ts";

export const unknownObject = (id: string): Failure =>
  failure(
    "resource_not_found",
    `There is no object ${JSON.stringify(id.slice(0, 128))} that was made by you through this gateway. Use an id as an answer gave it to you, with a key of the same user.`,
  );

export const keptElsewhere = failure(
  "resource_not_found",
  "What the request goes on with is kept by a provider that doesn't serve this model here. Use the model that it was made with.",
);
