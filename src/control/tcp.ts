import type { Server } from 'node:net';
import { formatListenAddress, type ListenAddress } from '../config/listen-address.js';
import { EXIT, Failure } from '../sys/failure.js';

/** Lets `server` listen on a TCP address, for what the key `key` of the config names. Rejects with a Failure. */
export function claimAddress(
  server: Server,
  address: ListenAddress,
  key: 'api' | 'metrics',
): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => reject(listenFailure(error, address, key));
    server.once('error', onError);
    server.listen(address, () => {
      server.off('error', onError);
      // A connection that could not be accepted, for want of descriptors as a rule, is its client's concern alone.
      server.on('error', () => {});
      resolve();
    });
  });
}

function listenFailure(error: Error, address: ListenAddress, key: string): Failure {
  const code = 'code' in error ? String(error.code) : error.message;
  const message = `cannot listen on ${formatListenAddress(address)} for ${key}: ${code}`;
  const other = `choose another in the config: ${key} = "ADDRESS:PORT"`;
  switch (code) {
    case 'EADDRINUSE':
      return new Failure(
        EXIT.kernelRefused,
        message,
        `see who does: sudo ss -ltnp sport = :${address.port}; or ${other}`,
      );
    case 'EADDRNOTAVAIL':
      return new Failure(
        EXIT.kernelRefused,
        message,
        `see which addresses there are: ip -brief address; or ${other}`,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new Failure(EXIT.failed, message, `write the address itself; or ${other}`);
    default:
      return new Failure(EXIT.kernelRefused, message, other);
  }
}
