/** Listens on all addresses, whichever IP families the kernel has. */

/** Errors on a kernel without IPv6: the family is unknown, or `::` is not an address of this machine. */
const withoutIPv6: ReadonlySet<unknown> = new Set(["EAFNOSUPPORT", "EADDRNOTAVAIL"]);

/**
 * Listens on `host`. `::` also accepts IPv4, so it serves IPv4, IPv6 and dual-stack clusters; on a kernel without IPv6,
 * `0.0.0.0` is used instead. Rejects with the error of `listen`.
 */
export async function onHost(host: string, listen: (host: string) => Promise<unknown>): Promise<void> {
  try {
    await listen(host);
  } catch (cause) {
    if (host !== "::" || !(cause instanceof Error && "code" in cause && withoutIPv6.has(cause.code))) throw cause;
    await listen("0.0.0.0");
  }
}
