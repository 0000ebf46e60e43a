import type { Logger } from '#kit/log.ts';

/** What the hub writes into the log: one function per event, constant sentences, no word of a prompt, token or text of an agent. */

export interface NodeFacts {
  linkId: string;
  nodeId: string;
  providerId: string;
}

export function providerConnected(
  log: Logger,
  node: NodeFacts,
  about: { generation: string; dialect: string; models: number; refusedModels: number },
): void {
  log.info({ event: 'provider-connected', ...node, ...about }, 'A provider connected.');
}

export function providerDisconnected(
  log: Logger,
  node: NodeFacts,
  about: { code: number; why: string; attemptsLost: number; connectedMs: number },
): void {
  log.info({ event: 'provider-disconnected', ...node, ...about }, 'A provider disconnected.');
}

export function registrationRefused(log: Logger, linkId: string, about: { address: string; why: string }): void {
  log.warn({ event: 'registration-refused', linkId, ...about }, 'A registration was refused.');
}

export function linkFlooded(log: Logger, linkId: string, about: { address: string; why: string }): void {
  log.warn({ event: 'link-flooded', linkId, ...about }, 'A link was closed because of what it sent.');
}

/** A bug of ours. The stack names only our files; the message may quote input, so it stays out. */
export function messageFailed(log: Logger, linkId: string, error: unknown): void {
  const stack = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line)) : [];
  log.error({ event: 'message-failed', linkId, stack: stack.slice(0, 8) }, 'Handling a message failed.');
}
