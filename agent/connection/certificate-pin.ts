import type { ClientRequest } from 'node:http';
import { TLSSocket } from 'node:tls';
import { plainFingerprint } from '../../protocol/hub-address.ts';

/** The hub's certificate is another than SERVER_FINGERPRINT says; the message names both. */
export class FingerprintError extends Error {
  override readonly name = 'FingerprintError';
}

/**
 * Cuts the request's connection unless its certificate is the pinned one: before anything is sent over
 * it, because Node holds data back until this event is over.
 */
export function pinCertificate(request: ClientRequest, fingerprint: string, host: string): void {
  request.once('socket', (socket) => {
    if (!(socket instanceof TLSSocket)) return;
    socket.once('secureConnect', () => {
      const { fingerprint256 } = socket.getPeerCertificate();
      const actual = plainFingerprint(fingerprint256);
      if (actual !== fingerprint) request.destroy(mismatch(host, actual, fingerprint));
    });
  });
}

function mismatch(host: string, actual: string, pinned: string): FingerprintError {
  return new FingerprintError(
    `The certificate of ${host} has the fingerprint ${actual}, and SERVER_FINGERPRINT is ${pinned}. ` +
      'If the hub has a new certificate, start the agent with the new fingerprint (install_agent ' +
      'gives it); if not, this is not the hub.',
  );
}
