// A process of its own: the shipped model behind a small OpenAI-compatible HTTP server, as llama.cpp's own server offers
// one. It prints its port, and takes the key that it is given on the command line.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { BackendSink } from '#agent/backends/backend.ts';
import { EmbeddedBackend } from '#agent/backends/embedded.ts';
import type { Operation } from '#domain/operation.ts';
import { silentLog } from '#kit/log.ts';
import { packageRoot } from '#kit/package-root.ts';

const [key = ''] = process.argv.slice(2);
const backend = await EmbeddedBackend.open(
  {
    path: path.join(packageRoot(), 'models', 'cygnet-nano-q8_0.gguf'),
    sequences: 2,
    threads: 1,
    gpu: false,
  },
  { log: silentLog },
);

const server = createServer((request, response) => {
  const json = (status: number, value: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
    response.end(JSON.stringify(value));
  };
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    if (request.headers.authorization !== `Bearer ${key}`)
      return json(401, { error: { code: 401, message: 'Invalid API Key', type: 'authentication_error' } });
    if (request.url === '/v1/models')
      return json(200, {
        object: 'list',
        data: [{ id: 'nano.gguf', object: 'model', owned_by: 'llamacpp' }],
      });
    if (request.method !== 'POST')
      return json(404, { error: { code: 404, message: 'File Not Found', type: 'not_found_error' } });
    const body = JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>;
    const operation = (request.url ?? '').replace('/v1/', '') as Operation;
    const stream = body['stream'] === true;
    let identity = '';
    const sink: BackendSink = {
      event(head, tail) {
        if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
        identity = head.toString();
        const goesOn = response.write(
          Buffer.concat([Buffer.from('data: '), head, tail, Buffer.from('\n\n')]),
        );
        if (!goesOn) response.once('drain', () => serving.resume());
        return goesOn;
      },
      answer(bytes) {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(bytes);
      },
      end({ status, error, code, usage }) {
        if (!response.headersSent)
          return json(status, {
            error: { code: status, message: `${error} ${code}`, type: 'invalid_request_error' },
          });
        if (!stream || response.writableEnded) return;
        response.write(`data: ${identity}"choices":[],"usage":${JSON.stringify(usage)}}\n\n`);
        response.end('data: [DONE]\n\n');
      },
    };
    const serving = backend.serve(
      {
        operation,
        body,
        stream,
        identity: { completion: 'chatcmpl-llama', model: 'nano.gguf', createdS: 1 },
      },
      sink,
    );
    response.on('close', () => serving.cancel());
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
// Whoever began this process holds its input open: it must not outlive them.
process.stdin.resume().on('end', () => process.exit(0));
