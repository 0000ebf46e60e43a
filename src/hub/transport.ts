/**
 * What a session needs of a socket, so that the simulation can give it one in memory. Messages are whole; the order is
 * kept; what is sent in one turn of the event loop leaves together.
 */
export interface Transport {
  /** Where the other side is, for admission and logs. */
  readonly address: string;
  /** Bytes accepted by `send` that have not left yet. */
  readonly bufferedBytes: number;
  /** Names who hears of what arrives. Called once, before anything can arrive. */
  listen(listener: TransportListener): void;
  /**
   * A text message when `data` is a string or `text` is set, else a binary one, made of whole frames: neighbours may be
   * joined. Does nothing on a closed socket.
   */
  send(data: string | Buffer, text?: boolean): void;
  /** Sends now what this turn has collected. */
  flush(): void;
  /** From here on the other side may send messages of full size: it has shown who it is. */
  trust(): void;
  /** Says goodbye; the socket is cut if the other side does not answer in time. `closed` still comes, once. */
  close(code: number, reason: string): void;
  /** Cuts the socket at once. `closed` still comes, once. */
  terminate(): void;
}

export interface TransportListener {
  message(data: Buffer, isBinary: boolean): void;
  /** What was sent has left: there is room for more. */
  drained(): void;
  closed(code: number): void;
}
