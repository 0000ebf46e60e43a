// A consumer on a bare socket, so that the measuring costs little and every read is seen when it happens.
import net from 'node:net';

const EVENT = Buffer.from('data: ');
const BODY_END = Buffer.from('0\r\n\r\n');

export const nowMs = () => Number(process.hrtime.bigint()) / 1e6;

/** The value below which the share `p` of the values lies, to the microsecond; null of nothing. */
export function quantile(values, p) {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).toSorted();
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] * 1000) / 1000;
}

/** A whole POST request, ready to be written again and again. */
export function postRequest({ port, path = '/v1/chat/completions', headers, body }) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head =
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\n` +
    `content-length: ${Buffer.byteLength(body)}\r\n${lines.join('')}\r\n`;
  return Buffer.from(head + body);
}

export const connect = (port) => net.connect({ host: '127.0.0.1', port, noDelay: true });

export const isOk = (bytes) => bytes.latin1Slice(0, 12) === 'HTTP/1.1 200';

/** How many server-sent events begin in these bytes; one whose `data: ` is split between two reads is not counted. */
export function eventsIn(bytes) {
  let count = 0;
  for (let at = bytes.indexOf(EVENT); at >= 0; at = bytes.indexOf(EVENT, at + 1)) count += 1;
  return count;
}

/** Follows a chunked body read by read: answers true at the read that ends it. */
export function chunkedBody() {
  let last = Buffer.alloc(0);
  return (bytes) => {
    last = bytes.length >= BODY_END.length ? bytes : Buffer.concat([last, bytes]);
    last = last.subarray(Math.max(0, last.length - BODY_END.length));
    return last.equals(BODY_END);
  };
}

/** Follows one unstreamed answer: tells when it is whole, given its reads one by one. */
export function wholeAnswer() {
  let pieces = [];
  return (bytes) => {
    pieces.push(bytes);
    const all = pieces.length === 1 ? bytes : Buffer.concat(pieces);
    const headEnd = all.indexOf('\r\n\r\n');
    if (headEnd < 0) return null;
    const length = /\r\ncontent-length: *(\d+)/i.exec(all.latin1Slice(0, headEnd));
    const whole = length
      ? all.length >= headEnd + 4 + Number(length[1])
      : all.subarray(-BODY_END.length).equals(BODY_END);
    if (!whole) return null;
    pieces = [];
    return { status: Number(all.latin1Slice(9, 12)) };
  };
}

export function report(figures) {
  process.stdout.write(`@@${JSON.stringify(figures)}\n`, () => process.exit(0));
}
