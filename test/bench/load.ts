/** The load: wrk, on the core that isn't measured. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../harness/command.ts";
import { type CpuTime, cores, cpuTime, pinned } from "./machine.ts";
import { parseWrk, type WrkResult } from "./statistics.ts";

/** Somewhere that a request can be sent to. */
export interface Door {
  name: string;
  port: number;
  /** Whose processor time counts; null: nobody's. */
  pid: number | null;
  headers: Readonly<Record<string, string>>;
}

export interface Request {
  path: string;
  body: string;
  /** Replace those of the door. */
  headers?: Readonly<Record<string, string>>;
  /** Of the answer; default 200. */
  status?: number;
}

export interface Measured extends WrkResult {
  /** Processor time of the door's process for each request, in microseconds. */
  cpuUs: number;
  /** That of it which the kernel took. */
  kernelUs: number;
}

const spent = async ({ pid }: Door): Promise<CpuTime> =>
  pid === null ? { userUs: Number.NaN, kernelUs: Number.NaN } : cpuTime(pid);

const lua = (text: string): string => `[==[${text}]==]`;

export class Load {
  readonly #wrk: string;
  readonly #dir: string;
  #scripts = 0;

  constructor(wrk: string, dir: string) {
    this.#wrk = wrk;
    this.#dir = dir;
  }

  async #script(door: Door, { body, headers = door.headers, status = 200 }: Request): Promise<string> {
    const file = join(this.#dir, `load-${this.#scripts++}.lua`);
    const set = Object.entries(headers).map(([name, value]) => `wrk.headers["${name}"] = ${lua(value)}`);
    // wrk counts what isn't 2xx or 3xx; where another status is wanted, what isn't that is counted here.
    const expect = `local wrong = 0
function response(status) if status ~= ${status} then wrong = wrong + 1; counted = wrong end end
local threads = {}
function setup(thread) table.insert(threads, thread) end
function done() local sum = 0; for _, thread in ipairs(threads) do sum = sum + (thread:get("counted") or 0) end; io.write("Unexpected answers: " .. sum .. "\\n") end`;
    await writeFile(
      file,
      `wrk.method = "POST"\n${set.join("\n")}\nwrk.body = ${lua(body)}\n${status === 200 ? "" : expect}\n`,
    );
    return file;
  }

  async measure(door: Door, request: Request, connections: number, seconds: number): Promise<Measured> {
    const script = await this.#script(door, request);
    const args = [
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      "--timeout",
      "10s",
      "--latency",
      "-s",
      script,
      `http://127.0.0.1:${door.port}${request.path}`,
    ];
    const before = await spent(door);
    const done = await run(...pinned(cores.load, this.#wrk, args));
    const after = await spent(door);
    if (done.code !== 0) throw new Error(`wrk failed: ${done.stderr}`);
    const result = parseWrk(done.stdout);
    const wrong = request.status === undefined ? result.failures : result.socketErrors + result.unexpected;
    if (wrong > 0)
      throw new Error(
        `${door.name} ${request.path}: ${wrong} wrong answers at ${connections} connections\n${done.stdout}`,
      );
    const kernelUs = (after.kernelUs - before.kernelUs) / result.requests;
    return { ...result, kernelUs, cpuUs: kernelUs + (after.userUs - before.userUs) / result.requests };
  }
}
