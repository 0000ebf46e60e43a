import { createServer, type Server } from 'node:net';
import { systemRandomness } from '#kit/random.ts';

/** Of these the kernel gives none away (from 32,768 on it does, to whoever asks for any port or dials). */
const PORTS = { from: 12_000, to: 32_000 };

/**
 * Ports that nobody listens on now, all different, for programs that must be told one. Nobody who asks for any port gets
 * one of them: a program may die and find its port free when it comes back, however busy the machine is with other tests.
 */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  while (servers.length < count) {
    const port = PORTS.from + Math.floor(systemRandomness.float() * (PORTS.to - PORTS.from));
    const server = createServer();
    // oxlint-disable-next-line no-await-in-loop -- one is tried after the other
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true));
    });
    if (free) servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
