/** A real mail server that keeps what it gets. */
import type { AddressInfo } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

export interface MailServer {
  port: number;
  /** Recipients, separated by commas, and on the next line the mail as it was sent. */
  mails: string[];
  close(): void;
}

export async function startMailServer(options: SMTPServerOptions): Promise<MailServer> {
  const mails: string[] = [];
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS"],
    onData(stream, session, done) {
      let mail = `${session.envelope.rcptTo.map(({ address }) => address).join(",")}\n`;
      stream.on("data", (data: Buffer) => (mail += data.toString("utf8")));
      stream.on("end", () => {
        mails.push(mail);
        done();
      });
    },
    ...options,
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.server.address() as AddressInfo).port, mails, close: () => void server.close() };
}
