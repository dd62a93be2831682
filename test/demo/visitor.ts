import http from 'node:http';

/** Loopback answers in milliseconds: one that takes so long is lost. */
const LOST_MS = 10_000;

/** A client at an address of its own, on one connection that it keeps until it leaves. */
export class Visitor {
  readonly address: string;
  readonly #port: number;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  #visited = false;

  /** `address` is any of 127.0.0.0/8. */
  constructor(port: number, address: string) {
    this.#port = port;
    this.address = address;
  }

  /**
   * Asks over the connection, made by the first call. Resolves with the name of the backend that answered.
   * Rejects when it was refused or cut, also when that would go unnoticed since a new connection could be made.
   */
  get(): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.#port, localAddress: this.address, agent: this.#agent };
      const request = http.get({ ...options, timeout: LOST_MS }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => {
          const cut = this.#visited && !request.reusedSocket;
          this.#visited = true;
          if (cut) reject(new Error(`the connection of ${this.address} was cut`));
          else resolve(body);
        });
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error(`${this.address} got no answer within ${LOST_MS} ms`)));
      request.on('error', (error) => reject(new Error(`${this.address}: ${error.message}`, { cause: error })));
    });
  }

  leave(): void {
    this.#agent.destroy();
  }
}
