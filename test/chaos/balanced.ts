import { Balancer } from '#support/balancer.ts';
import type { ChaosGateway } from './gateway.ts';
import type { Stage } from './stage.ts';

/** The gateways of a stage behind a balancer, once it sends to all of them. */
export async function behindBalancer(
  { gateways, waits }: Stage,
  closers: (() => Promise<unknown> | void)[],
  withinMs: number,
): Promise<{
  url: string;
  /** Resolves when this gateway is sent requests, or is not any more. */
  sends: (gateway: ChaosGateway, healthy: boolean) => Promise<void>;
}> {
  const balancer = await Balancer.open(gateways.map(({ url }) => url));
  closers.push(() => balancer.close());
  const sends = (gateway: ChaosGateway, healthy: boolean): Promise<void> =>
    waits.for(
      `${gateway.url} to be sent requests: ${healthy}`,
      balancer.sends(Number(new URL(gateway.url).port), healthy),
      withinMs,
    );
  await Promise.all(gateways.map((gateway) => sends(gateway, true)));
  return { url: balancer.url, sends };
}
