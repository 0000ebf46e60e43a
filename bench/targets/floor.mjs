// The least that a gateway which does its job can be in Node: read the body, JSON.parse it, then undici's low-level dispatch
// straight into the response. No key, no limits, no routing, no counting, no money.
//
// usage: node floor.mjs <upstream port>; prints `@@{"port":…}` when it listens
import http from 'node:http';
import { Pool } from 'undici';

const upstreamPort = Number(process.argv[2]);
const pool = new Pool(`http://127.0.0.1:${upstreamPort}`, { connections: 2048, pipelining: 1 });
const PASSED = new Set(['content-type', 'content-length', 'cache-control']);

function refuse(res, status) {
  if (!res.headersSent) res.writeHead(status);
  res.end();
}

function forward(path, body, res) {
  let abort = null;
  let done = false;
  res.on('close', () => {
    if (!done) abort?.(new Error('the client is gone'));
  });
  pool.dispatch(
    { path, method: 'POST', headers: { 'content-type': 'application/json' }, body },
    {
      onConnect(abortRequest) {
        abort = abortRequest;
      },
      onHeaders(status, rawHeaders, resume) {
        const headers = {};
        for (let i = 0; i < rawHeaders.length; i += 2) {
          const name = rawHeaders[i].toString('latin1').toLowerCase();
          if (PASSED.has(name)) headers[name] = rawHeaders[i + 1].toString('latin1');
        }
        res.writeHead(status, headers);
        res.on('drain', resume);
        return true;
      },
      onData: (bytes) => res.write(bytes),
      onComplete() {
        done = true;
        res.end();
      },
      onError() {
        done = true;
        refuse(res, 502);
      },
    },
  );
}

const server = http.createServer({ noDelay: true }, (req, res) => {
  const pieces = [];
  req.on('data', (bytes) => pieces.push(bytes));
  req.on('end', () => {
    const body = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
    let asked;
    try {
      asked = JSON.parse(body);
    } catch {
      return refuse(res, 400);
    }
    if (typeof asked.model !== 'string') return refuse(res, 400);
    forward(req.url, body, res);
  });
});
server.listen(0, '127.0.0.1', () => console.log(`@@${JSON.stringify({ port: server.address().port })}`));
