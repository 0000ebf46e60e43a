import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '#kit/clock.ts';
import { HttpReply, ReplyWriter } from './http-reply.ts';

let server: Server;

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** Serves streams as `answer` writes them. */
async function serve(answer: (reply: HttpReply) => void): Promise<void> {
  const writer = new ReplyWriter(systemClock);
  server = createServer((_request, response) => {
    const reply = new HttpReply(response, writer, 'req_1');
    reply.open(200, ['content-type', 'text/event-stream']);
    answer(reply);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

/** Sends bytes as they are; answers all that came, once `enough` says so or the server has closed the connection. */
function exchange(request: string, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1', () => socket.write(request));
    let text = '';
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (enough(text)) done();
    });
    socket.on('end', done);
    socket.on('error', reject);
  });
}

const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4);
const REQUEST = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n';
const END = '0\r\n\r\n';

test('what one turn writes leaves as one chunk, and the end comes with the last', async () => {
  await serve((reply) => {
    reply.write(Buffer.from('one '));
    reply.write(Buffer.alloc(0));
    reply.write(Buffer.from('two '));
    setImmediate(() => {
      setImmediate(() => {
        reply.write(Buffer.alloc(300, 'x'));
        reply.finish();
      });
    });
  });
  const text = await exchange(REQUEST, (sofar) => sofar.endsWith(END));
  expect(text.toLowerCase()).toContain('\r\ntransfer-encoding: chunked\r\n');
  expect(bodyOf(text)).toBe(`8\r\none two \r\n12c\r\n${'x'.repeat(300)}\r\n${END}`);
});

test('a stream that ends without more to say ends as one that has more', async () => {
  await serve((reply) => {
    reply.write(Buffer.from('all'));
    setImmediate(() => setImmediate(() => reply.finish()));
  });
  expect(bodyOf(await exchange(REQUEST, (text) => text.endsWith(END)))).toBe(`3\r\nall\r\n${END}`);
});

test('requests that come at once on one connection are answered whole, one after the other', async () => {
  let first: HttpReply | undefined;
  await serve((reply) => {
    reply.write(Buffer.from(first ? 'answer 2' : 'answer 1'));
    if (first) {
      // The second is over before the first, which is still in front of it.
      reply.finish();
      setImmediate(() => setImmediate(() => first?.finish()));
    } else first = reply;
  });
  const text = await exchange(REQUEST + REQUEST, (sofar) => sofar.split(END).length === 3);
  const [one = '', two = ''] = text.split(END);
  expect(bodyOf(one)).toBe('8\r\nanswer 1\r\n');
  expect(bodyOf(two)).toBe('8\r\nanswer 2\r\n');
});

test('a client of HTTP/1.0, which knows no chunks, gets the bytes and then the end of its connection', async () => {
  await serve((reply) => {
    reply.write(Buffer.from('plain '));
    reply.write(Buffer.from('bytes'));
    reply.finish();
  });
  const text = await exchange('POST / HTTP/1.0\r\ncontent-length: 0\r\n\r\n', () => false);
  expect(text.toLowerCase()).not.toContain('transfer-encoding');
  expect(bodyOf(text)).toBe('plain bytes');
});
