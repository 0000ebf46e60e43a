/**
 * What the journey of a request sees of its answer. The HTTP server implements it over a socket, the simulation in
 * memory.
 */
export interface Reply {
  /** Sends a whole answer. */
  send(status: number, headers: Headers, body: Buffer): void;
  /** Begins a streamed answer. */
  open(status: number, headers: Headers): void;
  /** Hands over bytes of a streamed answer; they leave when the turn of the event loop ends. */
  write(bytes: Buffer): void;
  /** Ends a streamed answer. */
  finish(): void;
  /** True while the client has not taken what was written: hold the source back until `onDrained` is called. */
  readonly congested: boolean;
  /** The connection is gone; nothing that is written arrives. */
  readonly gone: boolean;
  /** The one listener for the client leaving before the answer was finished. */
  onGone: (() => void) | undefined;
  /** The one listener for congestion having passed. */
  onDrained: (() => void) | undefined;
}

/** Header names and values in turn, as Node's raw headers are: building an object for each answer costs more. */
export type Headers = readonly string[];
