/**
 * Audit records as OpenTelemetry logs (opentelemetry-proto, logs/v1). The body is the whole line, so that a chain can be
 * verified from what a collector kept.
 */
import { Buffer } from "node:buffer";
import { parseJson } from "../wire/json.ts";
import type { OtlpProtocol } from "../wire/otlp-collector.ts";
import { fixed64Field, lengthy, numberField, textField } from "../wire/protobuf.ts";

const service = "sluice-proxy";
const scope = "sluice.audit";
/** SEVERITY_NUMBER_INFO */
const severity = { number: 9, text: "INFO" };

interface LogRecord {
  timeUnixNano: bigint;
  eventName: string;
  line: string;
}

function recordIn(line: string): LogRecord {
  const { time, type } = parseJson(line) as { time: string; type: string };
  return { timeUnixNano: BigInt(Date.parse(time)) * 1_000_000n, eventName: `${scope}.${type}`, line };
}

function jsonOf(records: readonly LogRecord[]): Buffer {
  const logRecords = records.map(({ timeUnixNano, eventName, line }) => ({
    timeUnixNano: String(timeUnixNano),
    severityNumber: severity.number,
    severityText: severity.text,
    eventName,
    body: { stringValue: line },
  }));
  const resource = { attributes: [{ key: "service.name", value: { stringValue: service } }] };
  const scopeLogs = [{ scope: { name: scope }, logRecords }];
  return Buffer.from(JSON.stringify({ resourceLogs: [{ resource, scopeLogs }] }));
}

/** ExportLogsServiceRequest. A `LogRecord` has the event's name as field 12. */
function protobufOf(records: readonly LogRecord[]): Buffer {
  const logRecords = records.map(({ timeUnixNano, eventName, line }) =>
    lengthy(
      2,
      fixed64Field(1, timeUnixNano) +
        numberField(2, severity.number) +
        textField(3, severity.text) +
        lengthy(5, textField(1, line)) +
        textField(12, eventName),
    ),
  );
  const resource = lengthy(1, lengthy(1, textField(1, "service.name") + lengthy(2, textField(1, service))));
  const scopeLogs = lengthy(2, lengthy(1, textField(1, scope)) + logRecords.join(""));
  return Buffer.from(lengthy(1, resource + scopeLogs), "latin1");
}

/** A request with these lines. */
export function logsRequest(lines: string, protocol: OtlpProtocol): Buffer {
  const records = lines.split("\n").flatMap((line) => (line === "" ? [] : [recordIn(line)]));
  return protocol === "http/json" ? jsonOf(records) : protobufOf(records);
}
