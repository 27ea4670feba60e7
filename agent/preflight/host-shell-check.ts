import { type Access, grants } from '../../protocol/access.ts';
import type { ExecScope } from '../../protocol/commands/system.ts';
import type { ShellPlace } from '../shell/shell-place.ts';
import { bounded, type Check } from './check.ts';

interface HostShellOptions {
  readonly access: Access;
  readonly shell: () => Promise<ShellPlace>;
}

const DETAIL: Readonly<Record<ExecScope, string>> = {
  host: 'commands run on the server',
  chroot: 'commands see the server’s files, read-only, but not its processes and services',
  container: 'commands run in the agent’s container, not on the server',
};
const NEXT_STEP =
  'Start the agent’s container with --pid=host --cap-add=SYS_ADMIN --cap-add=SYS_PTRACE, and where AppArmor or SELinux is on with --security-opt apparmor=unconfined or label=disable: install_agent with replace makes one.';

/** Whether system.exec runs on the server itself. */
export async function checkHostShell(
  { access, shell }: HostShellOptions,
  signal: AbortSignal,
): Promise<Check[]> {
  const check = await bounded('host_shell', signal, async () => {
    if (!grants(access, 'admin')) {
      return { ok: true, detail: `not needed: ACCESS=${access} runs no commands` };
    }
    const { scope } = await shell();
    const ok = scope === 'host';
    return { ok, detail: `${scope}: ${DETAIL[scope]}`, ...(ok ? {} : { next_step: NEXT_STEP }) };
  });
  return [check];
}
