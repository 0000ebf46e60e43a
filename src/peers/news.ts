import { z } from 'zod';
import type { Presence } from '#hub/registry.ts';

/**
 * What one gateway tells another about the agents that are connected to it: everything routing needs, and no more. Whether a
 * provider may serve, what it asks, how well it did, each gateway knows for itself.
 */
const modelSchema = z.object({
  id: z.string(),
  name: z.string(),
  capacity: z.number(),
  operations: z.number(),
  quantization: z.string().nullable(),
  parameters: z.array(z.string()).nullable(),
  version: z.string().nullable(),
  health: z.enum(['healthy', 'degraded', 'unhealthy', 'unknown']),
  ready: z.boolean(),
});
const nodeSchema = z.object({
  link: z.string().min(1).max(200),
  node: z.string().min(1).max(200),
  provider: z.string().min(1).max(200),
  several: z.boolean(),
  connected_ms_ago: z.number().nonnegative(),
  draining: z.boolean(),
  vram_gb: z.number().nullable(),
  capacity: z.number(),
  request_bytes_max: z.number(),
  models: z.array(modelSchema),
});
export type NodeNews = z.output<typeof nodeSchema>;

export const newsSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('node'), node: nodeSchema }),
  z.object({ type: z.literal('gone'), link: z.string() }),
  /** By link: what is under way there that the hearer did not send, in all and by model. */
  z.object({
    type: z.literal('load'),
    loads: z.array(z.tuple([z.string(), z.number(), z.record(z.string(), z.number())])),
  }),
  /** No new jobs, please; this gateway leaves. */
  z.object({ type: z.literal('leaving') }),
]);
export type News = z.output<typeof newsSchema>;

export function newsOf(presence: Presence, nowMs: number): NodeNews {
  return {
    link: presence.linkId,
    node: presence.nodeId,
    provider: presence.providerId,
    several: presence.several,
    connected_ms_ago: Math.max(0, nowMs - presence.connectedAtMs),
    draining: presence.draining,
    vram_gb: presence.vramGb,
    capacity: presence.linkCapacity,
    request_bytes_max: presence.requestBytesMax,
    models: [...presence.serving.values()].map((candidate) => ({
      id: candidate.modelId,
      name: candidate.name,
      capacity: candidate.capacity,
      operations: candidate.operations,
      quantization: candidate.quantization,
      parameters: candidate.parameters && [...candidate.parameters],
      version: candidate.version,
      health: candidate.health,
      ready: candidate.ready,
    })),
  };
}
