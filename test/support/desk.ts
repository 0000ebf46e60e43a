import { connect } from 'node:net';

/** Asks a desk of the test run (`test/support/global-setup.ts`) for what it has. */
export async function askDesk<T extends object>(port: number): Promise<T> {
  const text = await new Promise<string>((resolve, reject) => {
    let heard = '';
    connect(port, '127.0.0.1')
      .setEncoding('utf8')
      .on('data', (part) => {
        heard += part;
      })
      .on('error', reject)
      .on('end', () => resolve(heard));
  });
  const answer = JSON.parse(text) as T & { error?: string };
  if (answer.error !== undefined) throw new Error(`The test run could not prepare this: ${answer.error}`);
  return answer;
}
