// Preloaded into a program that would listen on every interface: makes it listen on 127.0.0.1.
const net = require('node:net');

const { prototype } = net.Server;
const listen = Reflect.get(prototype, 'listen');
prototype.listen = function (...args) {
  if (args[0] && typeof args[0] === 'object' && args[0].port !== undefined) {
    args[0] = { ...args[0], host: '127.0.0.1' };
  } else if (typeof args[0] === 'number') {
    if (typeof args[1] === 'string') args[1] = '127.0.0.1';
    else args.splice(1, 0, '127.0.0.1');
  }
  return listen.apply(this, args);
};
