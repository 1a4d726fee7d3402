import { Empty } from "../parts.tsx";

/** Shown until a page's data has arrived. */
export function Waiting({ failure }: { failure: string | null }) {
  if (failure === null)
    return (
      <p class="waiting" role="status">
        Loading…
      </p>
    );
  return <Empty title="The console shows nothing right now">{failure}. It keeps trying.</Empty>;
}
