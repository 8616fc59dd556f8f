// A wire to the server that a test can cut: a proxy that forwards everything under the server's own name.
import { createServer, request, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export class Wire {
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();
  private port = 0;

  private constructor(private readonly target: URL) {}

  static async to(target: URL): Promise<Wire> {
    const wire = new Wire(target);
    await wire.mend();
    return wire;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** Listens, the second time where it listened before. */
  async mend(): Promise<void> {
    const server = createServer((incoming, outgoing) => {
      const { hostname, port, host } = this.target;
      const headers = { ...incoming.headers, host };
      const forwarded = request({ hostname, port, method: incoming.method, path: incoming.url, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      forwarded.on("error", () => outgoing.destroy());
      outgoing.on("close", () => forwarded.destroy());
      incoming.pipe(forwarded);
    });
    server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as AddressInfo).port;
    this.server = server;
  }

  /** Breaks every connection and listens no more. */
  async cut(): Promise<void> {
    const server = this.server;
    this.server = undefined;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
