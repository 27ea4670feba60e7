import { TomoError } from '../../protocol/errors.ts';
import type { ContainerPlan } from './container-plan.ts';
import { isLoopback } from './hub-address.ts';

/** What stands in an agent's log, and what it means for whoever installs it. */
const CAUSES: readonly [pattern: RegExp, cause: string][] = [
  [/exec format error/i, 'The image is for another processor architecture than the target has.'],
  [
    /self.signed certificate|unable to verify|unable to get local issuer|certificate has expired|ERR_TLS|CERT_/i,
    'The agent does not trust the hub’s TLS certificate: use one of a public authority.',
  ],
  [
    /CODE_EXPIRED|CODE_USED|CODE_UNKNOWN/,
    'The hub did not take the registration code: it expired or was used meanwhile. Call install_agent again.',
  ],
  [
    /ENOTFOUND|EAI_AGAIN/,
    'The hub’s name does not resolve on the target. Start Tomo with a --public-url that it knows.',
  ],
  [
    /ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|handshake has timed out|timed out/i,
    'The hub’s address cannot be reached from the target: check --host, --public-url and firewalls.',
  ],
  [
    /Unexpected server response/i,
    'Something else than Tomo answers at the hub’s address: check --public-url and the proxy in front.',
  ],
  [/DATA_DIR/, 'The agent may not write its data volume.'],
];

/** The error of a deployment whose agent did not come in: probable cause, and the end of its log. */
export function explainFailure(
  plan: ContainerPlan,
  log: readonly string[],
  waited: string | undefined,
): TomoError {
  const text = log.join('\n');
  const url = plan.environment['SERVER_URL'] ?? '';
  const cause = CAUSES.find(([pattern]) => pattern.test(text))?.[1];
  const what =
    waited === undefined
      ? 'The agent’s container ended right after its start.'
      : `The agent did not register within ${waited}.`;
  const loopback = isLoopback(url)
    ? ` ${url} is the hub's own machine: another one needs a --public-url.`
    : '';
  return new TomoError(
    'AGENT_DID_NOT_REGISTER',
    `${what} ${cause ?? 'Its log may say why.'}${loopback} What was made on the target is removed again. End of its log:\n${text}`,
    { facts: { url } },
  );
}
