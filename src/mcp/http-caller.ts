import type { AuthInfo, ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { accessSchema } from '../../protocol/access.ts';
import { tokenHash } from './bearer-token.ts';
import type { ToolCaller } from './define-tool.ts';

const authInfoSchema = z.object({
  token: z.string(),
  clientId: z.string(),
  scopes: z.tuple([accessSchema]),
  extra: z.object({ origin: z.string() }),
});

/** A request's caller in the form in which the SDK hands it from the HTTP request to the tool. */
export function authInfoOf(
  token: string,
  caller: Required<Omit<ToolCaller, 'tokenHash'>>,
): AuthInfo {
  const { actor, access, origin } = caller;
  return { token, clientId: actor, scopes: [access], extra: { origin } };
}

/** Who made the HTTP request that this call came with. */
export function callerOf({ http }: Pick<ServerContext, 'http'>): ToolCaller {
  const { token, clientId, scopes, extra } = authInfoSchema.parse(http?.authInfo);
  return {
    actor: clientId,
    access: scopes[0],
    origin: extra.origin,
    tokenHash: tokenHash(token),
  };
}
