/** The hub's timers and limits. docs/operate/hub.md says what each is for; a test may vary any of them. */
export interface HubSettings {
  /** A socket that has not registered after this long is closed. */
  readonly registerDeadlineMs: number;
  /** A refused agent keeps its socket for a time between these two, drawn by chance (see `session.ts`). */
  readonly refusedCloseAfterMsMin: number;
  readonly refusedCloseAfterMsMax: number;
  /** How often agents that ask are told to send a heartbeat. */
  readonly heartbeatS: number;
  /** An agent without a heartbeat for this long is gone. */
  readonly heartbeatTimeoutMs: number;
  /** How long the question to whom a node belongs may take. */
  readonly bindTimeoutMs: number;
  /** Steps of handshakes that are taken in one turn of the event loop; the rest wait (see `turnstile.ts`). */
  readonly handshakesPerTurn: number;
  /** From this `cp_version` on an agent is taken for generation C. */
  readonly generationCFrom: string;

  /** The largest message we take from a registered agent, in bytes. */
  readonly messageBytesMax: number;
  /** The largest message that is not an unstreamed answer. */
  readonly controlBytesMax: number;
  /** All that a socket may send before it has registered. */
  readonly anonymousBytesMax: number;
  /** Messages kept while the registration is looked up. */
  readonly queuedMessagesMax: number;
  readonly modelsPerNodeMax: number;

  /** The least memory of one GPU in GB, where it is known; and how far a reported figure may fall short by rounding. */
  readonly vramFloorGb: number;
  readonly vramToleranceGb: number;
  /** May an agent serve whose hardware is unknown (a CPU, a reseller of another API)? */
  readonly unknownHardwareAllowed: boolean;

  /** Attempts at once: of a model where the agent declares nothing, and the most we believe. */
  readonly modelCapacityDefault: number;
  readonly modelCapacityMax: number;
  /** Attempts at once on a link that speaks the Swan protocol (its agent's own limit). */
  readonly linkCapacityDefault: number;
  readonly linkCapacityMax: number;

  /** The largest message an agent can take: generations A and B, generation C, and the binary extension. */
  readonly requestBytesMaxOld: number;
  readonly requestBytesMaxNew: number;
  /** Bytes delivered and not yet taken by the consumer: of one attempt, of one link, of all links. */
  readonly streamBufferBytesMax: number;
  readonly linkBufferBytesMax: number;
  readonly hubBufferBytesMax: number;
  /** The binary extension: bytes an agent may send ahead of the consumer, and how many are returned at a time. */
  readonly creditBytes: number;
  readonly creditStepBytes: number;
  /** How long the end of a Swan stream may be behind its backend's end mark; it may have been dropped on the way. */
  readonly endWaitMs: number;
  /** How long a cancelled stream may take to tell its usage. */
  readonly cancelWaitMs: number;
  /** The longest unstreamed answer, in bytes. */
  readonly resultBytesMax: number;
  /** Request bodies wait for the socket while more than this is unsent. At least the socket's high-water mark. */
  readonly sendAheadBytesMax: number;

  /** How many remembered service records (one per node and model) outlive their connection. */
  readonly recordsMax: number;
}

const KIB = 1_024;
const MIB = 1_024 * KIB;

export const DEFAULT_HUB_SETTINGS: HubSettings = {
  registerDeadlineMs: 30_000,
  refusedCloseAfterMsMin: 30_000,
  refusedCloseAfterMsMax: 60_000,
  heartbeatS: 30,
  heartbeatTimeoutMs: 90_000,
  bindTimeoutMs: 10_000,
  handshakesPerTurn: 16,
  generationCFrom: '0.6.0',

  messageBytesMax: 64 * MIB,
  controlBytesMax: MIB,
  anonymousBytesMax: 2 * MIB,
  queuedMessagesMax: 64,
  modelsPerNodeMax: 256,

  vramFloorGb: 8,
  vramToleranceGb: 1,
  unknownHardwareAllowed: true,

  modelCapacityDefault: 10,
  modelCapacityMax: 4_096,
  linkCapacityDefault: 50,
  linkCapacityMax: 4_096,

  requestBytesMaxOld: 1_000_000,
  requestBytesMaxNew: 60_000_000,
  streamBufferBytesMax: MIB,
  linkBufferBytesMax: 32 * MIB,
  hubBufferBytesMax: 256 * MIB,
  creditBytes: 256 * KIB,
  creditStepBytes: 64 * KIB,
  endWaitMs: 2_000,
  cancelWaitMs: 1_000,
  resultBytesMax: 64 * MIB,
  sendAheadBytesMax: 64 * KIB,

  recordsMax: 20_000,
};
