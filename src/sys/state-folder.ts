/** The folder that the service manager keeps for what is to survive a restart; undefined: there is none. */
export function stateFolder(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  // systemd.exec(5): several are separated by colons.
  const [first = ''] = environment.STATE_DIRECTORY?.split(':') ?? [];
  return first === '' ? undefined : first;
}
