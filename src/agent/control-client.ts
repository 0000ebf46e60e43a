import { Agent } from 'undici';
import { socketFile } from './control.ts';
import { SettingsError } from './settings.ts';

const ASK_MS = 10_000;

/**
 * One call of the interface of the agent that runs from `folder`, through its socket file. Undefined when none runs there.
 * Throws a `SettingsError` with the agent's own sentence when it refuses.
 */
export async function askAgent<T>(
  folder: string,
  method: 'GET' | 'POST' | 'PATCH',
  path: string,
  body?: unknown,
): Promise<T | undefined> {
  const file = socketFile(folder);
  if (file === undefined) return undefined;
  const agent = new Agent({ connect: { socketPath: file, timeout: 2_000 } });
  try {
    const answer = await agent.request({
      origin: 'http://agent',
      path,
      method,
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headersTimeout: ASK_MS,
      bodyTimeout: ASK_MS,
    });
    const said = (await answer.body.json()) as T & { error?: string };
    if (answer.statusCode === 200) return said;
    throw new SettingsError(said.error ?? `The agent answered ${answer.statusCode}.`);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') return undefined;
    throw error;
  } finally {
    await agent.destroy();
  }
}
