/** What the hub counts since it started. Plain numbers, raised in place; a metrics page reads them. */
export interface HubCounters {
  upgrades: number;
  upgradesRefused: number;
  registered: number;
  registrationsRefused: number;
  /** A newer connection of the same node took over. */
  replaced: number;
  /** Not JSON, not an envelope, or a payload that its type cannot have. */
  malformed: number;
  /** Frames before the registration. */
  beforeRegister: number;
  /** Frames for an attempt that this link never had. */
  foreignFrames: number;
  /** Frames for an attempt that had ended. */
  lateFrames: number;
  /** Chunks of a running stream that could not be passed on. */
  droppedChunks: number;
  /** Streamed chunks, and those of them that were recognised without parsing. */
  chunks: number;
  chunksByTemplate: number;
  /** Messages of a type that we do not act on. */
  ignored: number;
  /** Links closed because of what their agent sent. */
  floods: number;
  oversize: number;
  /** Attempts stopped because their consumer did not read. */
  slowConsumers: number;
  /** Violations of the binary extension. */
  violations: number;
  /** Bugs of ours met while handling a message. */
  internalErrors: number;
}

/** All zero. */
export function hubCounters(): HubCounters {
  return {
    upgrades: 0,
    upgradesRefused: 0,
    registered: 0,
    registrationsRefused: 0,
    replaced: 0,
    malformed: 0,
    beforeRegister: 0,
    foreignFrames: 0,
    lateFrames: 0,
    droppedChunks: 0,
    chunks: 0,
    chunksByTemplate: 0,
    ignored: 0,
    floods: 0,
    oversize: 0,
    slowConsumers: 0,
    violations: 0,
    internalErrors: 0,
  };
}
