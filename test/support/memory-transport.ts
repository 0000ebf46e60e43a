import type { Transport, TransportListener } from '#hub/transport.ts';

/** A socket in memory: what the hub sends is heard by `toAgent` at once, what the agent says goes in through `arrive`. */
export class MemoryTransport implements Transport {
  readonly address: string;
  /** Set by a test that wants the socket to be full. */
  bufferedBytes = 0;
  trusted = false;
  /** Everything the hub sent, in order; text as strings. */
  readonly sent: (string | Buffer)[] = [];
  toAgent: (data: string | Buffer) => void = () => undefined;
  agentHearsClose: (code: number) => void = () => undefined;
  closedWith: number | undefined;
  #listener: TransportListener | undefined;

  constructor(address = '192.0.2.1') {
    this.address = address;
  }

  listen(listener: TransportListener): void {
    this.#listener = listener;
  }

  send(data: string | Buffer, text = typeof data === 'string'): void {
    if (this.closedWith !== undefined) return;
    const message = text ? data.toString() : data;
    this.sent.push(message);
    this.toAgent(message);
  }

  flush(): void {}

  trust(): void {
    this.trusted = true;
  }

  close(code: number): void {
    if (this.closedWith !== undefined) return;
    this.closedWith = code;
    this.#listener?.closed(code);
    this.agentHearsClose(code);
  }

  terminate(): void {
    this.close(1006);
  }

  /** A message from the agent. */
  arrive(data: string | Buffer): void {
    if (this.closedWith !== undefined) return;
    this.#listener?.message(Buffer.from(data as string), typeof data !== 'string');
  }

  /** The agent's machine is gone. */
  cut(): void {
    this.close(1006);
  }

  /** What was sent has left. */
  drain(): void {
    this.bufferedBytes = 0;
    this.#listener?.drained();
  }

  /** The JSON messages of a type that the hub sent. */
  messages(type: string): { request_id?: string; payload: Record<string, unknown> }[] {
    return this.sent
      .filter((each) => typeof each === 'string')
      .map((text) => JSON.parse(text))
      .filter((message) => message.type === type);
  }
}
