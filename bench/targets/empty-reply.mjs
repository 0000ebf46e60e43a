// The cheapest refusal there is in Node: an empty 401, decided without reading anything.
//
// usage: node empty-reply.mjs; prints `@@{"port":…}` when it listens
import http from 'node:http';

const server = http.createServer({ noDelay: true }, (req, res) => {
  req.resume();
  res.writeHead(401, { 'content-length': 0 });
  res.end();
});
server.listen(0, '127.0.0.1', () => console.log(`@@${JSON.stringify({ port: server.address().port })}`));
