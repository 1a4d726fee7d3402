/** Pools in the contract: a provider that is several equal servers, each with an address of its own. */
import { z } from "zod";
import { millis } from "./basics.ts";

/** `ca`: PEM; null to encrypt without a check of the certificate, which pickers make for themselves. */
const pickerTls = z.object({ ca: z.string().nullable(), serverName: z.string() });
export type PickerTls = z.output<typeof pickerTls>;

/** The endpoint picker of an InferencePool, which chooses the server of each call. */
export const pickerConfig = z.object({
  /** Name of the InferencePool. */
  pool: z.string(),
  /** `host:port` of each that is ready, sorted. */
  addresses: z.array(z.string()),
  /** null for plaintext. */
  tls: pickerTls.nullable(),
  timeoutMs: millis,
  /** Whether the proxy chooses where the picker fails; otherwise the attempt fails. */
  failOpen: z.boolean(),
});
export type PickerConfig = z.output<typeof pickerConfig>;

export const poolConfig = z.object({
  /** `host:port` of each server, sorted. Empty: none is ready. */
  pods: z.array(z.string()),
  strategy: z.enum(["LeastLoad", "Prefix"]),
  /** The most calls of one proxy that may be under way at one server; null for no limit. */
  mostInFlight: z.int().min(1).nullable(),
  /** Absent if proxies choose. */
  picker: pickerConfig.optional(),
});
export type PoolConfig = z.output<typeof poolConfig>;
